package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
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
	if own, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok { // which closes the connection of who sends too much
		w = own.Unwrap()
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return bodyProblem(err)
	}
	var syntax *json.SyntaxError
	switch _, err := decoder.Token(); {
	case err == io.EOF:
		return nil
	case err == nil, errors.As(err, &syntax):
		return malformed("there is something after the JSON object: send one object")
	default:
		return bodyProblem(err)
	}
}

func bodyProblem(err error) *Problem {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return NewProblem(http.StatusRequestTimeout, "too-slow", "the body did not come in time, and nothing was done: send the request again")
	case isTooLarge(err):
		return NewProblem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("the body has more than %d bytes: send less", MaxBody))
	case errors.Is(err, io.EOF):
		return malformed("the body is empty: send a JSON object")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return malformed("the body ends too early, and nothing was done: send a whole JSON object")
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
