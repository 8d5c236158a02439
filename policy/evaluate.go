package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// Limits on one evaluation. More is an Error: what was left out could matter.
const (
	MaxEvidence = 10_000 // pieces, verified and rejected together
)

// maxValidity bounds how long a decision may be reused when nothing in the
// policy ends earlier: trust roots change, and a host refreshes them daily.
const maxValidity = 24 * time.Hour

// An Artifact is what is decided about.
type Artifact struct {
	Name    string           // as the caller calls it, such as a file name; compared with the scope only
	Digests attest.DigestSet // computed from the artifact's bytes, or given by the caller
}

// A Root says that a trust root with this digest is in force under this name:
// [PublicGood], [GitHub] or [Given].
type Root struct {
	Name   string
	Digest attest.Digest
}

// Rejected is evidence that the verifier refused. It can satisfy nothing; it
// serves to explain.
type Rejected struct {
	Bundle   string // "sha256:HEX" of the file
	Location string
	Reason   string // a reason of package verify
	Detail   string
}

// Input is everything that a decision depends on. Evaluate changes none of it.
type Input struct {
	Artifact Artifact
	Evidence []evidence.Evidence
	Rejected []Rejected
	Sources  []SourceReport // where evidence was looked for; one with an Error may have held the missing piece
	Roots    []Root
	Now      time.Time // zero is an Error: Evaluate reads no clock
}

// reasons maps what the verifier says to a code. A reason that is missing here
// counts as an untrusted signer.
var reasons = map[string]Code{
	"malformed": Malformed, "payload-type": Malformed,
	"subject-mismatch": SubjectMismatch,
	"bad-signature":    BadSignature,
	"not-logged":       NotLogged, "log-invalid": NotLogged,
	"no-trusted-time": NoTime, "timestamp-invalid": NoTime, "certificate-expired": NoTime, "key-expired": NoTime,
	"digest-needed": DigestNeeded, "no-artifact": DigestNeeded, "misused": Undecidable,
}

// Evaluate decides. It is a pure function: no I/O, no clock, the same decision
// for the same input, whatever the order of the evidence. It never panics: a
// failure inside is an Error. It is safe for concurrent use.
func (p *Policy) Evaluate(in Input) (d Decision) {
	defer func() {
		if r := recover(); r != nil {
			d = Decision{Outcome: Error, Code: Undecidable, Message: clip(fmt.Sprintf("internal error: %v", r)),
				Artifact: Artifact{clip(in.Artifact.Name), in.Artifact.Digests}, EvaluatedAt: in.Now}
		}
	}()
	d = Decision{Artifact: Artifact{clip(in.Artifact.Name), in.Artifact.Digests}, EvaluatedAt: in.Now, Catalogue: CatalogueVersion}
	undecided := func(code Code, format string, args ...any) Decision {
		d.Outcome, d.Code, d.Message = Error, code, fmt.Sprintf(format, args...)
		return d
	}
	if p == nil || len(p.rules) == 0 {
		return undecided(Undecidable, "the policy is empty: it was not made by Load")
	}
	d.Policy, d.PolicyName, d.PolicyVersion, d.Files = p.digest, clip(p.name), p.version, p.Files()
	d.Relaxations = p.relaxations()
	for _, s := range in.Sources {
		d.Sources = append(d.Sources, SourceReport{clip(s.Name), s.Found, clip(s.Error), s.Retryable})
	}
	switch {
	case in.Now.IsZero():
		return undecided(Undecidable, "no time was given to decide at")
	case !p.expires.IsZero() && !in.Now.Before(p.expires):
		return undecided(Undecidable, "the policy expired at %s: load its successor", p.expires.Format(time.RFC3339))
	case len(in.Artifact.Digests.Strong()) == 0:
		return undecided(Undecidable, "no sha256, sha384 or sha512 digest of the artifact was given")
	case len(in.Evidence)+len(in.Rejected) > MaxEvidence:
		return undecided(Limit, "%d pieces of evidence, want at most %d", len(in.Evidence)+len(in.Rejected), MaxEvidence)
	case !p.covers(in.Artifact.Name):
		d.Outcome, d.Message = NotCovered, fmt.Sprintf("the policy speaks about %s, and not about %q", p.scope(), clip(in.Artifact.Name))
		return d
	}

	in.Rejected = slices.Clone(in.Rejected)
	slices.SortFunc(in.Rejected, func(a, b Rejected) int {
		return cmp.Or(strings.Compare(a.Bundle, b.Bundle), strings.Compare(a.Location, b.Location), strings.Compare(a.Reason, b.Reason), strings.Compare(a.Detail, b.Detail))
	})
	items, unbound := p.bind(&in)
	for _, r := range p.rules {
		d.Rules = append(d.Rules, p.finish(r, r.judge(&view{in: &in, rule: r, items: items}), &in, items, unbound))
	}
	d.Evidence = report(items, unbound, in.Rejected)
	d.conclude(p, &in)
	return d
}

func (p *Policy) covers(name string) bool {
	return p.artifacts == nil || slices.ContainsFunc(p.artifacts, func(a pattern) bool { return a.match(name) })
}

func (p *Policy) scope() string {
	parts := make([]string, len(p.artifacts))
	for i, a := range p.artifacts {
		parts[i] = a.String()
	}
	return strings.Join(parts, ", ")
}

// bind sorts the evidence, so that its order cannot matter, and keeps what is
// about the artifact. The verifier has bound it already; this is for callers
// that hand in evidence of something else.
func (p *Policy) bind(in *Input) (items []*item, unbound []evidence.Evidence) {
	all := slices.Clone(in.Evidence)
	slices.SortFunc(all, func(a, b evidence.Evidence) int {
		if c := cmp.Or(strings.Compare(a.Envelope(), b.Envelope()), strings.Compare(a.Root().Digest.String(), b.Root().Digest.String()),
			strings.Compare(a.Bundle(), b.Bundle()), strings.Compare(a.Location(), b.Location())); c != 0 {
			return c
		}
		return strings.Compare(fmt.Sprint(a.Logs(), a.Times()), fmt.Sprint(b.Logs(), b.Times()))
	})
	for i, e := range all {
		if e.IsZero() {
			continue
		}
		if !bound(e, in.Artifact.Digests) {
			unbound = append(unbound, e)
			continue
		}
		it := &item{e: e, digests: in.Artifact.Digests}
		it.duplicate = i > 0 && e.Envelope() != "" && all[i-1].Envelope() == e.Envelope() && all[i-1].Root().Digest == e.Root().Digest &&
			bound(all[i-1], in.Artifact.Digests)
		for _, name := range p.signerOrder {
			c := &checklist{}
			p.signers[name].check(c, e, in)
			if len(c.failed) == 0 {
				it.principals = append(it.principals, name)
			}
		}
		items = append(items, it)
	}
	return items, unbound
}

func bound(e evidence.Evidence, artifact attest.DigestSet) bool {
	if st := e.Statement(); st != nil {
		return st.Bind(artifact).Match == attest.Equal
	}
	return attest.Set(e.Message()).Compare(artifact) == attest.Equal
}

// unrelated reports whether evidence has strong digests, and none of an algorithm
// that the artifact was given by: it may be about the artifact or not.
func unrelated(e evidence.Evidence, artifact attest.DigestSet) bool {
	st := e.Statement()
	if st == nil {
		return attest.Set(e.Message()).Compare(artifact) == attest.Unrelated
	}
	return st.Bind(artifact).Match == attest.Unrelated &&
		slices.ContainsFunc(st.Subjects(), func(s attest.Subject) bool { return len(s.Digest.Strong()) > 0 })
}

// finish says why a rule that found no candidate failed, and turns a failure
// into an error where something unread could have satisfied the rule.
func (p *Policy) finish(r *rule, res RuleResult, in *Input, items []*item, unbound []evidence.Evidence) RuleResult {
	if res.Status == StatusPass {
		return res
	}
	if res.Message == "" {
		res.Code, res.Message = absence(r, in, items, unbound)
	}
	for _, s := range in.Sources {
		if s.Error != "" {
			res.Status, res.Code = StatusError, Fetch
			res.Message = fmt.Sprintf("%s did not answer (%s), and could hold what is missing: %s", clip(s.Name), clip(s.Error), res.Message)
			return res
		}
	}
	for _, e := range unbound {
		// By the rule's own signer, and perhaps about this very artifact. What a
		// stranger signs changes nothing.
		c := &checklist{}
		if r.signer.check(c, e, in); len(c.failed) == 0 && unrelated(e, in.Artifact.Digests) {
			res.Status, res.Code = StatusError, DigestNeeded
			res.Message = fmt.Sprintf("%s speaks of another digest algorithm: the artifact's bytes, or that digest of it, are needed", label(e.Location(), e.Bundle()))
			return res
		}
	}
	for _, rej := range in.Rejected {
		if code := reasons[rej.Reason]; code == DigestNeeded || code == Undecidable {
			res.Status, res.Code = StatusError, code
			res.Message = fmt.Sprintf("%s cannot be checked: %s", label(rej.Location, rej.Bundle), clip(rej.Detail))
			return res
		}
	}
	return res
}

func label(location, bundle string) string {
	if location != "" {
		return clip(location)
	}
	return clip(bundle)
}

// nearest orders the codes of evidence that never became a candidate, the
// nearest to satisfying a rule first.
var nearestCode = []Code{WrongType, SubjectMismatch, UntrustedSigner, NoTime, NotLogged, BadSignature, Malformed}

// absence explains a rule without candidates by what there was instead.
func absence(r *rule, in *Input, items []*item, unbound []evidence.Evidence) (Code, string) {
	found := make(map[Code]string)
	note := func(code Code, message string) {
		if old, ok := found[code]; !ok || message < old {
			found[code] = message
		}
	}
	for _, it := range items {
		note(WrongType, fmt.Sprintf("no %s; there is %s (%s)", r.kind, summarize(it.e, "").Type, label(it.e.Location(), it.e.Bundle())))
	}
	for _, e := range unbound {
		note(SubjectMismatch, fmt.Sprintf("no %s of this artifact; %s is about another", r.kind, label(e.Location(), e.Bundle())))
	}
	for _, rej := range in.Rejected {
		code, ok := reasons[rej.Reason]
		if !ok {
			code = UntrustedSigner
		}
		note(code, fmt.Sprintf("no %s; %s was refused: %s: %s", r.kind, label(rej.Location, rej.Bundle), clip(rej.Reason), clip(rej.Detail)))
	}
	for _, code := range nearestCode {
		if message, ok := found[code]; ok {
			return code, message
		}
	}
	var looked []string
	for _, s := range in.Sources {
		looked = append(looked, clip(s.Name))
	}
	if len(looked) == 0 {
		return NoEvidence, "no evidence was found"
	}
	return NoEvidence, "no evidence was found; looked in " + strings.Join(looked, ", ")
}

// report gives every piece of evidence its one disposition.
func report(items []*item, unbound []evidence.Evidence, rejected []Rejected) []EvidenceReport {
	var out []EvidenceReport
	for _, it := range items {
		r := EvidenceReport{Evidence: summarize(it.e, strings.Join(it.principals, " and "))}
		switch {
		case it.used:
			r.Disposition = DispositionUsed
		case it.duplicate:
			r.Disposition, r.Message = DispositionIgnored, "the same envelope as another piece"
		case it.misses != nil:
			r.Disposition, r.Code, r.Message = DispositionRejected, it.misses[0].Code, it.misses[0].sentence()
		default:
			r.Disposition, r.Code, r.Message = DispositionIgnored, WrongType, "no rule asks for this type"
		}
		out = append(out, r)
	}
	for _, e := range unbound {
		out = append(out, EvidenceReport{Disposition: DispositionIgnored, Code: SubjectMismatch, Message: "about another artifact", Evidence: summarize(e, "")})
	}
	for _, rej := range rejected {
		code, ok := reasons[rej.Reason]
		if !ok {
			code = UntrustedSigner
		}
		out = append(out, EvidenceReport{Disposition: DispositionRejected, Code: code, Message: clip(rej.Reason) + ": " + clip(rej.Detail),
			Evidence: EvidenceSummary{Bundle: clip(rej.Bundle), Location: clip(rej.Location)}})
	}
	return out
}

func (d *Decision) conclude(p *Policy, in *Input) {
	d.Outcome = Pass
	for _, r := range d.Rules {
		switch {
		case r.Status == StatusFail:
			d.Outcome = Fail
		case r.Status != StatusPass && d.Outcome == Pass:
			d.Outcome = Error
		}
	}
	if d.Outcome != Pass {
		d.Message = d.why()
	} else {
		d.Message = fmt.Sprintf("all %d rules are satisfied", len(d.Rules))
	}
	if d.Outcome == Error || slices.ContainsFunc(in.Sources, func(s SourceReport) bool { return s.Error != "" }) {
		return // nothing to reuse: what was not read may say something else
	}
	d.ValidUntil = in.Now.Add(maxValidity)
	ends := []time.Time{p.expires}
	for _, s := range p.signers {
		ends = append(ends, s.from, s.until)
	}
	for _, end := range ends {
		if end.After(in.Now) && end.Before(d.ValidUntil) {
			d.ValidUntil = end
		}
	}
}

// relaxations lists, in the order of the policy, where it accepts more than
// the strict defaults.
func (p *Policy) relaxations() []string {
	var out []string
	add := func(where string, what []string) {
		for _, w := range what {
			if line := where + ": " + w; !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	for _, name := range p.signerOrder {
		s := p.signers[name]
		add("signer "+name, s.relax)
		add("signer "+name, s.trust.relaxations())
	}
	for _, r := range p.rules {
		add("rule "+r.id, r.relax)
	}
	return out
}
