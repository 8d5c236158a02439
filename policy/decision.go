package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// An Outcome is what a policy says about an artifact. The zero value refuses.
type Outcome int

// The outcomes. Only Pass is a yes.
const (
	Error      Outcome = iota // could not decide: a source failed, a digest is missing, the call was incomplete
	Fail                      // a rule is not satisfied
	NotCovered                // the policy does not speak about this artifact
	Pass                      // every rule is satisfied
)

func (o Outcome) String() string {
	switch o {
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	case NotCovered:
		return "not-covered"
	}
	return "error"
}

// MarshalText writes the outcome as its name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// A Status is the result of one rule. The zero value refuses.
type Status int

// The statuses.
const (
	StatusError Status = iota // could not be judged
	StatusFail
	StatusPass
)

func (s Status) String() string {
	return [...]string{"error", "fail", "pass"}[s]
}

// MarshalText writes the status as its name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Decision is what a policy decided about one artifact at one time, and why.
// All texts from outside are limited in length and free of control characters.
// The zero Decision is an error.
type Decision struct {
	Outcome  Outcome
	Code     Code   // of an Error that no rule explains; else empty
	Message  string // one sentence: why
	Artifact Artifact

	Policy        attest.Digest // of the policy file
	PolicyName    string
	PolicyVersion int
	Files         map[string]attest.Digest // that the policy read at load
	Catalogue     string                   // version of the build type catalogue

	EvaluatedAt time.Time
	// ValidUntil ends the time in which this decision may be reused with the
	// same inputs: EvaluatedAt <= now < ValidUntil. Zero means not at all.
	ValidUntil time.Time

	Rules       []RuleResult
	Evidence    []EvidenceReport // every piece that was handed in, once; none where the rules were not judged
	Relaxations []string         // where the policy accepts more than the strict defaults
	Sources     []SourceReport
}

// A RuleResult is what one rule said.
type RuleResult struct {
	ID         string
	Kind       string
	Line       int // in the policy file
	Status     Status
	Code       Code   // of a failure; empty for a pass
	Message    string // one sentence
	Used       []EvidenceSummary
	NearMisses []NearMiss // at most three, the nearest first
}

// A NearMiss is a candidate that a rule did not accept.
type NearMiss struct {
	Evidence EvidenceSummary
	Passed   int     // how many checks it passed
	Failed   []Check // in the order trust, signer, content; at most 32
	More     int     // failed checks beside those

	nearness stage
}

// An EvidenceSummary names one verified piece of evidence.
type EvidenceSummary struct {
	Bundle    string // "sha256:HEX" of the file
	Envelope  string // "sha256:HEX" over payload and signature
	Type      string // predicate type, or "message signature"
	Location  string
	Principal string // the policy's signer that it counts for; empty if none
	Identity  string // key, or subject and issuer, of the certificate
	Root      string // name of the trust root
	RootSHA   attest.Digest
	Times     []evidence.Time
	Logs      []evidence.LogEntry
}

// A Disposition says what became of a piece of evidence.
type Disposition string

// The dispositions. Each piece of evidence has exactly one.
const (
	DispositionUsed     Disposition = "used"     // a rule counted it
	DispositionRejected Disposition = "rejected" // it did not verify, or no rule accepted it
	DispositionIgnored  Disposition = "ignored"  // no rule asked for it, or it is about something else
)

// An EvidenceReport is one piece of evidence and what became of it.
type EvidenceReport struct {
	Disposition Disposition
	Code        Code
	Message     string
	Evidence    EvidenceSummary
}

// A SourceReport tells where evidence was looked for.
type SourceReport struct {
	Name      string
	Found     int
	Error     string // empty if it answered in full
	Retryable bool   // whether asking again may help
}

// Denied is the error of a decision that is Fail or NotCovered.
type Denied struct{ Decision Decision }

func (e *Denied) Error() string {
	return fmt.Sprintf("denied by policy %s: %s", e.Decision.policyLabel(), e.Decision.Message)
}

// Undecided is the error of a decision that is Error.
type Undecided struct {
	Decision  Decision
	Retryable bool // whether asking again may help
}

func (e *Undecided) Error() string {
	return fmt.Sprintf("could not decide by policy %s: %s", e.Decision.policyLabel(), e.Decision.Message)
}

func (d Decision) policyLabel() string {
	if d.PolicyName != "" {
		return d.PolicyName
	}
	return d.Policy.String()
}

// Err is nil for Pass and only for Pass; else a [*Denied] or an [*Undecided].
func (d Decision) Err() error {
	switch d.Outcome {
	case Pass:
		return nil
	case Fail, NotCovered:
		return &Denied{d}
	}
	retry := false
	for _, s := range d.Sources {
		retry = retry || s.Error != "" && s.Retryable
	}
	return &Undecided{d, retry}
}

func summarize(e evidence.Evidence, principal string) EvidenceSummary {
	s := EvidenceSummary{
		Bundle: clip(e.Bundle()), Envelope: clip(e.Envelope()), Type: "message signature", Location: clip(e.Location()),
		Principal: principal, Identity: clip(identity(e)), Root: clip(e.Root().Name), RootSHA: e.Root().Digest,
		Times: e.Times(), Logs: e.Logs(),
	}
	for i := range s.Times {
		s.Times[i].Kind, s.Times[i].Authority = evidence.TimeKind(clip(string(s.Times[i].Kind))), clip(s.Times[i].Authority)
	}
	for i := range s.Logs {
		s.Logs[i].LogID, s.Logs[i].Log, s.Logs[i].Kind = clip(s.Logs[i].LogID), clip(s.Logs[i].Log), clip(s.Logs[i].Kind)
	}
	if st := e.Statement(); st != nil {
		s.Type = clip(st.PredicateType())
	}
	return s
}

// why says in one sentence what the rules decided.
func (d *Decision) why() string {
	var parts []string
	for _, r := range d.Rules {
		if r.Status != StatusPass {
			parts = append(parts, r.ID+": "+r.Message)
		}
	}
	return strings.Join(parts, "; ")
}
