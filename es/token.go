package es

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Token names a recorded event to whoever waits until a read model has it, in another
// request or another process: see projections.Projector.WaitForToken. It goes well into a
// header or a cookie, and is no secret.
type Token struct {
	Life     uuid.UUID // of the store
	Position Position
	Stream   StreamID
	Version  Version
}

// String writes the token as text that [ParseToken] reads:
// life:position:version:category/id.
func (t Token) String() string {
	return fmt.Sprintf("%s:%d:%d:%s/%s", t.Life, t.Position, t.Version, t.Stream.Category, t.Stream.ID)
}

// ParseToken reads the text of a token, and gives [ErrInvalid] for any other.
func ParseToken(text string) (Token, error) {
	var t Token
	parts := strings.SplitN(text, ":", 4)
	if len(parts) < 4 {
		return t, fmt.Errorf("%w: token %q: want life:position:version:category/id", ErrInvalid, text)
	}
	life, err := uuid.Parse(parts[0])
	if err != nil {
		return t, fmt.Errorf("%w: token %q: %w", ErrInvalid, text, err)
	}
	position, err := strconv.ParseInt(parts[1], 10, 64)
	version, worse := strconv.ParseInt(parts[2], 10, 64)
	category, id, found := strings.Cut(parts[3], "/")
	if err != nil || worse != nil || !found || position < 1 || version < 1 {
		return t, fmt.Errorf("%w: token %q: want life:position:version:category/id", ErrInvalid, text)
	}
	t = Token{Life: life, Position: Position(position), Version: Version(version), Stream: StreamID{Category: category, ID: id}}
	return t, t.Stream.Validate()
}
