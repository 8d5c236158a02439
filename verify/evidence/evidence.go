// Package evidence holds what a verifier established about one bundle: what
// was said, who signed it, when, under which trust root and in which logs.
//
// It is the value that package verify makes and package policy judges, and it
// depends on neither. Evidence is not a decision: it says who signed, and
// never whether that signer may. Read it through a policy.
package evidence

import (
	"slices"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
)

// Evidence is the verified content of one bundle. It is read-only and safe
// for concurrent use. The zero Evidence holds nothing and satisfies no rule.
type Evidence struct {
	facts    *Facts
	location string
}

// Facts is what a verifier hands to [New].
type Facts struct {
	Bundle    string            // "sha256:HEX" of the bundle file
	Envelope  string            // "sha256:HEX" over payload and signature: the same however it is packed
	Statement *attest.Statement // nil for a message signature
	Message   attest.Digest     // what a message signature covers; zero for a statement
	Signer    Signer
	Root      TrustRoot
	Times     []Time     // verified signing times, earliest first; none for a key without timestamp
	Logs      []LogEntry // verified transparency log entries
	SCT       bool       // a certificate timestamp of a trusted CT log was verified
}

// A TrustRoot names the root that everything in one Evidence was verified under.
type TrustRoot struct {
	Name   string        // as the caller of verify called it
	Digest attest.Digest // of its contents

	// What this root contains decides what it requires.
	HasLogs bool // transparency logs: an entry is required
	HasCT   bool // certificate transparency logs: an SCT is required
}

// A Signer is who signed: exactly one of the two is set.
type Signer struct {
	Certificate *Certificate
	Key         *Key
}

// A Key is a public key that the verifier was told to trust.
type Key struct {
	SPKI attest.Digest // SHA-256 over the PKIX DER encoding
}

// A Time is one verified signing time.
type Time struct {
	Kind      TimeKind
	Time      time.Time
	Authority string // of the timestamp authority or log, from the trust root
}

// A TimeKind is what gives a verified time. An inclusion proof, a checkpoint
// and a Rekor v2 entry give none.
type TimeKind string

// The kinds of verified time.
const (
	RFC3161  TimeKind = "rfc3161"   // genTime of a timestamp token over the signature
	RekorSET TimeKind = "rekor-set" // integratedTime under a Rekor v1 signed entry timestamp
)

// A LogEntry is one verified transparency log entry.
type LogEntry struct {
	LogID    string // hexadecimal
	Log      string // base URL in the trust root
	Index    int64
	Kind     string // such as "dsse 0.0.1"
	Included bool   // an inclusion proof was verified, and not only a promise
}

// New makes Evidence of facts. Only a verifier calls it, after it has checked
// every one of them; tests of policies do so in its place. New copies what it
// is given. Facts without a signer, or with neither statement nor message,
// give the zero Evidence.
func New(f Facts) Evidence {
	if (f.Signer.Certificate == nil) == (f.Signer.Key == nil) || (f.Statement == nil) == f.Message.IsZero() {
		return Evidence{}
	}
	f.Times = slices.Clone(f.Times)
	slices.SortStableFunc(f.Times, func(a, b Time) int { return a.Time.Compare(b.Time) })
	f.Logs = slices.Clone(f.Logs)
	if c := f.Signer.Certificate; c != nil {
		d := *c
		d.SANs = slices.Clone(c.SANs)
		f.Signer.Certificate = &d
	}
	if k := f.Signer.Key; k != nil {
		d := *k
		f.Signer.Key = &d
	}
	return Evidence{facts: &f}
}

// At returns the same evidence with a note of where it was found, for reports.
func (e Evidence) At(location string) Evidence {
	e.location = location
	return e
}

// IsZero reports whether e holds nothing.
func (e Evidence) IsZero() bool { return e.facts == nil }

func (e Evidence) get() *Facts {
	if e.facts == nil {
		return &Facts{}
	}
	return e.facts
}

// Location is where the evidence was found, as the caller said; it may be empty.
func (e Evidence) Location() string { return e.location }

// Bundle is "sha256:HEX" of the bundle file.
func (e Evidence) Bundle() string { return e.get().Bundle }

// Envelope is "sha256:HEX" over what was signed and the signature, the same
// for one signature in two files.
func (e Evidence) Envelope() string { return e.get().Envelope }

// Statement is what was said, or nil for a message signature.
func (e Evidence) Statement() *attest.Statement { return e.get().Statement }

// Message is the digest that a message signature covers; zero for a statement.
func (e Evidence) Message() attest.Digest { return e.get().Message }

// Signer is who signed. The caller must not change what it points to.
func (e Evidence) Signer() Signer { return e.get().Signer }

// Root is the trust root that all of this was verified under.
func (e Evidence) Root() TrustRoot { return e.get().Root }

// Times returns the verified signing times, earliest first.
func (e Evidence) Times() []Time { return slices.Clone(e.get().Times) }

// Logs returns the verified log entries.
func (e Evidence) Logs() []LogEntry { return slices.Clone(e.get().Logs) }

// SCT reports whether a certificate timestamp was verified.
func (e Evidence) SCT() bool { return e.get().SCT }
