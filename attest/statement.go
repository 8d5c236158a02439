// Package attest holds what is claimed about an artifact: in-toto statements
// about subjects, with a predicate.
//
// It implements the in-toto Attestation Framework: Statement v1 is written,
// v1 and v0.1 are read (https://github.com/in-toto/attestation, spec v1.1).
// Start with [New] to make a statement and [Parse] to read one. Subjects come
// from package attest/subject, predicates from attest/predicate, signatures
// from attest/sign.
//
// A statement's bytes are made once and never changed: [Statement.Bytes] is
// exactly what is signed, and what [Parse] was given. Fields that this package
// does not know, numbers and escapes stay as they were written.
//
// Parsing proves nothing: a statement says something only when package verify
// has checked who signed it.
//
// Package attest imports nothing but the standard library. Names exported
// here stay until the next major version.
package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hallmark-dev/hallmark/internal/strictjson"
)

// Limits on a statement, for writing and for reading.
const (
	MaxStatementBytes = 24 << 20 // bytes of JSON
	MaxSubjects       = 1024     // what GitHub and sigstore-go accept; more need several statements
	MaxDigests        = 32       // algorithms in one DigestSet
	MaxDepth          = 64       // levels of arrays and objects in a predicate
)

// The statement types. V1 is written.
const (
	StatementV1  = "https://in-toto.io/Statement/v1"
	StatementV01 = "https://in-toto.io/Statement/v0.1"
)

// PayloadType is the DSSE payload type of a statement.
const PayloadType = "application/vnd.in-toto+json"

// A ResourceDescriptor names a thing (in-toto ResourceDescriptor v1). A zero
// field is left out. Which fields must be there depends on where it stands.
type ResourceDescriptor struct {
	Name             string          `json:"name,omitempty"`
	URI              string          `json:"uri,omitempty"`
	Digest           DigestSet       `json:"digest,omitempty"`
	Content          string          `json:"content,omitempty"` // base64
	DownloadLocation string          `json:"downloadLocation,omitempty"`
	MediaType        string          `json:"mediaType,omitempty"`
	Annotations      json.RawMessage `json:"annotations,omitempty"` // a JSON object
}

// A Subject is an artifact that a statement is about. Digest must hold at
// least one digest; Name is free text, and "_" where there is no name.
type Subject = ResourceDescriptor

// A Predicate is what is said about the subjects. Packages bring their own.
type Predicate interface {
	// PredicateType is the type URI.
	PredicateType() string
	// EncodePredicate validates the predicate and returns it as one JSON
	// object, the same bytes each time.
	EncodePredicate() ([]byte, error)
}

// Raw is a Predicate of any type whose bytes pass through unchanged. They
// must be one JSON object without duplicate names.
type Raw struct {
	Type string
	JSON []byte
}

// PredicateType implements [Predicate].
func (r Raw) PredicateType() string { return r.Type }

// EncodePredicate implements [Predicate].
func (r Raw) EncodePredicate() ([]byte, error) { return r.JSON, nil }

// A Statement is an in-toto statement with its exact bytes. It is immutable
// and safe for concurrent use. The zero Statement has no subjects and no
// bytes, and nothing accepts it.
type Statement struct {
	typ           string
	subjects      []Subject
	predicateType string
	predicate     []byte
	raw           []byte
}

// A SubjectError says which subject cannot be used, and why.
type SubjectError struct {
	Index int // position in the list
	Name  string
	Err   error
}

func (e *SubjectError) Error() string {
	return fmt.Sprintf("subject[%d] %.128q: %v", e.Index, e.Name, e.Err)
}

func (e *SubjectError) Unwrap() error { return e.Err }

// New makes a Statement v1. Subjects are sorted by name and digest, and
// identical ones become one. Errors: a [*SubjectError] for a subject without
// a digest or with a malformed one; one for two subjects of the same name
// whose digests differ; no subject or more than [MaxSubjects]; a predicate
// that is not one JSON object, or has no absolute type URI; more than
// [MaxStatementBytes].
func New(subjects []Subject, p Predicate) (*Statement, error) {
	if len(subjects) == 0 {
		return nil, errors.New("attest: no subjects, want at least one")
	}
	subjects, err := tidy(subjects)
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	if len(subjects) > MaxSubjects {
		return nil, fmt.Errorf("attest: %d subjects, want at most %d: split them over several statements", len(subjects), MaxSubjects)
	}
	if p == nil {
		return nil, errors.New("attest: no predicate")
	}
	if u, err := url.Parse(p.PredicateType()); err != nil || u.Scheme == "" {
		return nil, fmt.Errorf("attest: predicate type %.128q, want an absolute URI", p.PredicateType())
	}
	predicate, err := p.EncodePredicate()
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	if err := strictjson.Check(predicate, MaxDepth); err != nil {
		return nil, fmt.Errorf("attest: predicate: %w", err)
	}
	if k := strictjson.KindOf(predicate); k != strictjson.Map {
		return nil, fmt.Errorf("attest: predicate is %s, want an object", k)
	}

	head, err := strictjson.Marshal(struct {
		Type          string    `json:"_type"`
		Subject       []Subject `json:"subject"`
		PredicateType string    `json:"predicateType"`
	}{StatementV1, subjects, p.PredicateType()})
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	raw := slices.Concat(head[:len(head)-1], []byte(`,"predicate":`), predicate, []byte("}"))
	return Parse(raw)
}

func tidy(subjects []Subject) ([]Subject, error) {
	out := slices.Clone(subjects)
	keys := make(map[string]int, len(out)) // name to position in the input
	for i, s := range subjects {
		if err := s.Digest.check(); err != nil {
			return nil, &SubjectError{i, s.Name, err}
		}
		if strings.ContainsRune(s.Name, 0) {
			return nil, &SubjectError{i, s.Name, errors.New("NUL in the name")}
		}
		if len(s.Annotations) > 0 {
			if err := strictjson.Check(s.Annotations, MaxDepth); err != nil {
				return nil, &SubjectError{i, s.Name, fmt.Errorf("annotations: %w", err)}
			}
		}
		if j, seen := keys[s.Name]; seen && s.Name != "" && s.Name != "_" && !sameDigests(s.Digest, subjects[j].Digest) {
			return nil, &SubjectError{i, s.Name, fmt.Errorf("the same name as subject[%d] with another digest", j)}
		}
		keys[s.Name] = i
	}
	sortKey := func(s Subject) string {
		b, _ := strictjson.Marshal(s.Digest)
		return s.Name + "\x00" + string(b) + "\x00" + s.URI
	}
	slices.SortStableFunc(out, func(a, b Subject) int { return strings.Compare(sortKey(a), sortKey(b)) })
	return slices.CompactFunc(out, func(a, b Subject) bool {
		x, _ := strictjson.Marshal(a)
		y, _ := strictjson.Marshal(b)
		return bytes.Equal(x, y)
	}), nil
}

func sameDigests(a, b DigestSet) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// Parse reads a statement of type v1 or v0.1 and keeps its bytes, which it
// copies. Anything else is an error: another type, no subject, a subject
// without a digest, a strong digest that is not lower-case hexadecimal of its
// length, duplicate names, bytes after the value, more than the limits.
// A missing or null predicate is read as none.
//
// WARNING: parsed is not verified. Only package verify can say who made it.
func Parse(data []byte) (*Statement, error) {
	if len(data) > MaxStatementBytes {
		return nil, fmt.Errorf("attest: statement of %d bytes, want at most %d", len(data), MaxStatementBytes)
	}
	raw := bytes.Clone(data)
	var doc struct {
		Type          string          `json:"_type"`
		Subject       []Subject       `json:"subject"`
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	}
	// The predicate may nest MaxDepth levels below the statement.
	if err := strictjson.Decode(raw, &doc, MaxDepth+1); err != nil {
		return nil, fmt.Errorf("attest: statement: %w", err)
	}
	if doc.Type != StatementV1 && doc.Type != StatementV01 {
		return nil, fmt.Errorf("attest: statement type %.128q, want %s or %s", doc.Type, StatementV1, StatementV01)
	}
	if doc.PredicateType == "" {
		return nil, errors.New("attest: statement without predicateType")
	}
	if len(doc.Subject) == 0 {
		return nil, errors.New("attest: statement without subject")
	}
	if len(doc.Subject) > MaxSubjects {
		return nil, fmt.Errorf("attest: statement with %d subjects, want at most %d", len(doc.Subject), MaxSubjects)
	}
	for i, s := range doc.Subject {
		err := s.Digest.checkStrong()
		switch {
		case len(s.Digest) == 0:
			err = errors.New("no digest")
		case len(s.Digest) > MaxDigests:
			err = fmt.Errorf("%d digests, want at most %d", len(s.Digest), MaxDigests)
		}
		if err != nil {
			return nil, fmt.Errorf("attest: %w", &SubjectError{i, s.Name, err})
		}
	}
	st := &Statement{typ: doc.Type, subjects: doc.Subject, predicateType: doc.PredicateType, raw: raw}
	switch k := strictjson.KindOf(doc.Predicate); k {
	case strictjson.Map:
		st.predicate = doc.Predicate
	case strictjson.Null, strictjson.Invalid:
	default:
		return nil, fmt.Errorf("attest: predicate is %s, want an object", k)
	}
	return st, nil
}

// Bytes is the statement exactly as it is signed. The caller must not change it.
func (s *Statement) Bytes() []byte { return s.raw }

// Type is the statement type, [StatementV1] or [StatementV01].
func (s *Statement) Type() string { return s.typ }

// Subjects returns the subjects in the order of the statement. The caller
// must not change what the slice and its maps hold.
func (s *Statement) Subjects() []Subject { return slices.Clone(s.subjects) }

// PredicateType is the type URI of the predicate.
func (s *Statement) PredicateType() string { return s.predicateType }

// Predicate is the predicate's JSON object as it stands in the statement, or
// nil if there is none. The caller must not change it.
func (s *Statement) Predicate() []byte { return s.predicate }

// A Binding says how a statement relates to one artifact.
type Binding struct {
	Match   Match   // Equal: the statement is about the artifact
	Subject Subject // the subject that binds; zero unless Match is Equal
}

// Bind looks for the artifact among the subjects. One subject that is Equal
// is enough, and the others say nothing about the artifact, with one
// exception: a subject that agrees in one strong algorithm and differs in
// another makes the whole answer Conflict, because someone is lying about one
// of them.
func (s *Statement) Bind(artifact DigestSet) Binding {
	best := Binding{}
	for _, sub := range s.subjects {
		switch m := sub.Digest.Compare(artifact); {
		case m == Conflict:
			return Binding{Match: Conflict}
		case m == Equal && best.Match != Equal:
			best = Binding{Equal, sub}
		case m > best.Match:
			best.Match = m
		}
	}
	return best
}
