package verify

import (
	"fmt"
	"strings"
)

// A Reason says why a bundle gives no evidence. The strings are stable: tests,
// JSON and documents use the same words.
type Reason string

// The reasons. Those marked undecided say that a check could not be made
// with what was given, and not that something is wrong.
const (
	Misused              Reason = "misused"               // the program made no proper Verifier
	Malformed            Reason = "malformed"             // a part that cannot be parsed: hides what it says
	NoArtifact           Reason = "no-artifact"           // undecided: no digest of the artifact was given
	DigestNeeded         Reason = "digest-needed"         // undecided: the bundle speaks of another digest algorithm
	SubjectMismatch      Reason = "subject-mismatch"      // evidence of another artifact
	PayloadType          Reason = "payload-type"          // signed content that is no statement
	BadSignature         Reason = "bad-signature"         // changed content or another signer's certificate
	NotLogged            Reason = "not-logged"            // a signature that nobody could have noticed
	LogInvalid           Reason = "log-invalid"           // a log entry of something else, or a false proof
	NoTrustedTime        Reason = "no-trusted-time"       // a short-lived certificate used at an unknown time
	TimestampInvalid     Reason = "timestamp-invalid"     // a timestamp of something else or by somebody else
	CertificateUntrusted Reason = "certificate-untrusted" // a certificate by an unknown authority
	CertificateExpired   Reason = "certificate-expired"   // a stolen key used after its certificate ended
	SCTInvalid           Reason = "sct-invalid"           // a certificate that was issued in secret
	KeyUnknown           Reason = "key-unknown"           // a key that nobody trusts
	KeyExpired           Reason = "key-expired"           // a key used outside its validity
)

// Undecided reports whether the reason says that a check could not be made,
// rather than that it failed.
func (r Reason) Undecided() bool { return r == NoArtifact || r == DigestNeeded || r == Misused }

// An Error is why a bundle was refused.
type Error struct {
	Reason Reason
	Detail string // what was found and what was wanted
	Err    error  // the cause, or nil
}

func fail(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	parts := []string{"verify: " + string(e.Reason)}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	if e.Err != nil {
		parts = append(parts, fmt.Sprintf("%.300s", e.Err.Error()))
	}
	return strings.Join(parts, ": ")
}

func (e *Error) Unwrap() error { return e.Err }
