package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// MaxBody is how many bytes a request's body may have.
const MaxBody = 64 << 10

// Body reads the request's JSON object into v. It refuses other media types, fields
// that v does not have, anything after the object, and more than [MaxBody] bytes.
func Body(w http.ResponseWriter, r *http.Request, v any) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return NewProblem(http.StatusUnsupportedMediaType, "media-type", "send the body as JSON with Content-Type: application/json")
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(v)
	if err == nil {
		if _, err = decoder.Token(); err == io.EOF {
			return nil
		}
		if err == nil || !isTooLarge(err) {
			return malformed("there is something after the JSON object: send one object")
		}
	}
	return bodyProblem(err)
}

func bodyProblem(err error) *Problem {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case isTooLarge(err):
		return NewProblem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("the body has more than %d bytes: send less", MaxBody))
	case errors.Is(err, io.EOF):
		return malformed("the body is empty: send a JSON object")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return malformed("the JSON ends too early: send a whole object")
	case errors.As(err, &syntax):
		return malformed(fmt.Sprintf("the body is not JSON at byte %d: %v", syntax.Offset, syntax))
	case errors.As(err, &kind) && kind.Field == "":
		return malformed(fmt.Sprintf("the body is a JSON %s: send an object", kind.Value))
	case errors.As(err, &kind):
		return malformed(fmt.Sprintf("field %s is a JSON %s: give a value of type %s", kind.Field, kind.Value, kind.Type))
	case strings.HasPrefix(err.Error(), "json: unknown field "): // the package has no type for it
		return malformed(strings.TrimPrefix(err.Error(), "json: ") + ": leave it out or correct its name")
	}
	return malformed("the body cannot be read: " + err.Error())
}

func malformed(detail string) *Problem {
	return NewProblem(http.StatusBadRequest, "malformed", detail)
}

func isTooLarge(err error) bool {
	var tooLarge *http.MaxBytesError
	return errors.As(err, &tooLarge)
}
