// Package predicate holds typed claims, one file each: what a statement says
// about its subjects. Each type validates itself before it is written.
//
// Now: SLSA build provenance v1 ([Provenance], written and read; SLSA v1.2,
// https://slsa.dev/spec/v1.2/build-provenance) and v0.2 ([ProvenanceV02], read).
// Unknown fields are ignored on reading, as the in-toto framework wants; the
// statement keeps them.
//
// All functions are pure and safe for concurrent use.
package predicate

import (
	"errors"
	"fmt"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/internal/strictjson"
)

// An Error says what is wrong with a predicate, and where.
type Error struct {
	Type   string // predicate type
	Path   string // such as "predicate.runDetails.builder.id"
	Reason string // what was found and what was wanted
}

func (e *Error) Error() string { return e.Path + ": " + e.Reason }

// a checker collects the first thing that is wrong.
type checker struct {
	typ string
	err error
}

func (c *checker) fail(path, format string, args ...any) {
	if c.err == nil {
		c.err = &Error{c.typ, "predicate." + path, fmt.Sprintf(format, args...)}
	}
}

// decode reads a predicate's JSON into v, with errors of this package.
func decode(typ string, raw []byte, v any) error {
	err := strictjson.Decode(raw, v, attest.MaxDepth)
	var bad *strictjson.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &bad) && bad.Path != "":
		return &Error{typ, "predicate." + bad.Path, bad.Reason}
	}
	return &Error{typ, "predicate", err.Error()}
}
