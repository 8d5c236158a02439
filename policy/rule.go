package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// A ruleKind is one kind of rule: what a policy writes, and how it is judged.
// A new kind is a file of its own and a line in ruleKinds.
type ruleKind struct {
	name string
	doc  string // one sentence, for lint and explain
	// decode reads the fields of the kind and returns the judge, which is
	// given everything that a rule may look at. It must be pure.
	decode func(l *loader, o *object, r *rule) judge
}

// A judge decides one rule.
type judge func(v *view) RuleResult

// ruleKinds is the closed list. Those without decode belong to the language and
// are not supported yet.
var ruleKinds = []ruleKind{
	{"provenance", "how the artifact was built: SLSA provenance v1 or v0.2", decodeProvenance},
	{"signature", "somebody signed the artifact itself", decodeSignature},
	{name: "sbom"}, {name: "vulnerabilities"}, {name: "test"}, {name: "vsa"},
	{name: "link"}, {name: "attestation"}, {name: "chain"},
}

// A rule is one compiled entry of require.
type rule struct {
	id     string
	kind   string
	line   int
	by     string
	signer *signer
	fields []field // for explain
	relax  []string
	judge  judge
}

func (l *loader) require(o *object) {
	n := o.field("require")
	if n == nil {
		l.suggest(o.n, "", "require is missing: without a rule nothing is decided", "require: [{provenance: {from: github.com/OWNER/REPO@v*}}]")
		return
	}
	items := o.list("require")
	if len(items) > MaxRules {
		l.errorf(n, "require", "%d rules, want at most %d", len(items), MaxRules)
		return
	}
	seen := make(map[string]bool)
	for i, item := range items {
		r := l.rule(item, fmt.Sprintf("require[%d]", i))
		if r == nil {
			continue
		}
		if seen[r.id] {
			l.errorf(item, fmt.Sprintf("require[%d]", i), "a second rule called %s: give it an id of its own", r.id)
		}
		seen[r.id] = true
		l.policy.rules = append(l.policy.rules, r)
	}
}

func (l *loader) rule(n *node, at string) *rule {
	o := l.object(n, at)
	r := &rule{line: n.line}
	var given []string
	for _, k := range ruleKinds {
		fn := o.field(k.name)
		if fn == nil {
			continue
		}
		given = append(given, k.name)
		if k.decode == nil {
			l.errorf(fn, join(at, k.name), "not yet supported in this version")
			continue
		}
		r.kind = k.name
		inner := l.object(fn, join(at, k.name))
		inner.later("select", "maxAge", "where", "agree", "about", "mode", "message")
		r.judge = k.decode(l, inner, r)
		inner.done()
	}
	r.id = r.kind
	if id, ok := o.text("id"); ok {
		if !validName(id) {
			l.errorf(o.field("id"), at+".id", "%.64q, want letters, digits, - and _, beginning with a letter", id)
		}
		r.id = id
	}
	o.later("anyOf", "agree", "assert", "mode", "controls", "message")
	o.done()
	if len(given) != 1 {
		if o.field("anyOf") == nil && o.field("agree") == nil && o.field("assert") == nil {
			l.errorf(n, at, "%d rule kinds, want exactly one such as provenance or signature", len(given))
		}
		return nil
	}
	if r.judge == nil || r.signer == nil {
		return nil // was reported
	}
	return r
}

// by reads the signer that a rule names.
func (l *loader) by(o *object, r *rule) {
	n := o.field("by")
	switch {
	case n == nil:
		l.suggest(o.n, o.path, "by is missing: who has to have signed", "by: NAME-OF-A-SIGNER")
	case n.kind != scalarNode:
		l.errorf(n, join(o.path, "by"), "a quorum is not yet supported in this version: want the name of one signer")
	default:
		name, ok := o.text("by")
		if !ok {
			return
		}
		if r.signer = l.policy.signers[name]; r.signer == nil {
			known := make(map[string]bool)
			for k := range l.policy.signers {
				known[k] = true
			}
			message := fmt.Sprintf("no signer called %.64q", name)
			if near := nearest(name, known); near != "" {
				message += fmt.Sprintf(", did you mean %q?", near)
			}
			l.errorf(n, join(o.path, "by"), "%s", message)
			return
		}
		r.by = name
	}
}

// A view is what a rule sees: the evidence about the artifact, in a fixed order,
// with who signed each.
type view struct {
	in    *Input
	rule  *rule
	items []*item
}

// An item is one piece of evidence that is bound to the artifact.
type item struct {
	e          evidence.Evidence
	digests    attest.DigestSet // of the artifact
	principals []string         // signers of the policy that it reaches; two are ambiguous
	duplicate  bool             // the same envelope, under the same root, as an earlier item
	used       bool
	misses     []Check // what failed, for the first rule that looked
	claims     claimMemo
}

// any judges by the quantifier of most kinds: one candidate that satisfies
// everything is enough. wants selects by type; check compares the content.
func (v *view) any(wants func(evidence.Evidence) bool, check func(c *checklist, it *item)) RuleResult {
	res := RuleResult{ID: v.rule.id, Kind: v.rule.kind, Line: v.rule.line}
	var misses []NearMiss
	satisfied := make(map[string]bool) // envelopes
	for _, it := range v.items {
		// A second copy of an envelope counts once. Which copy has its log entries
		// and timestamps still with it is not told by their order.
		if !wants(it.e) {
			continue
		}
		if e := it.e.Envelope(); e != "" && satisfied[e] {
			it.duplicate = true
			continue
		}
		c := &checklist{}
		v.rule.signer.check(c, it.e, v.in)
		nearness := stageContent
		if len(c.failed) > 0 {
			nearness = stageSigner
			if strings.HasPrefix(c.failed[0].Path, "trust.") {
				nearness = stageTrust
			}
		}
		if len(it.principals) > 1 {
			c.code, c.prefix = Ambiguous, "signer."
			c.fail("principal", v.rule.by, strings.Join(it.principals, " and "))
		}
		c.code, c.prefix = Expectation, v.rule.kind+"."
		check(c, it)
		if len(c.failed) == 0 {
			it.used, satisfied[it.e.Envelope()] = true, true
			res.Used = append(res.Used, summarize(it.e, v.rule.by))
			continue
		}
		if it.misses == nil {
			it.misses = c.failed
		}
		misses = append(misses, NearMiss{Evidence: summarize(it.e, ""), Passed: c.passed, Failed: c.failed, More: c.more, nearness: nearness})
	}
	if len(res.Used) > 0 {
		res.Status = StatusPass
		return res
	}
	// The nearest first: the later the stage, the fewer failures, the more passes.
	slices.SortStableFunc(misses, func(a, b NearMiss) int {
		if a.nearness != b.nearness {
			return int(b.nearness - a.nearness)
		}
		if a, b := len(a.Failed)+a.More, len(b.Failed)+b.More; a != b {
			return a - b
		}
		return b.Passed - a.Passed
	})
	shown := make(map[string]bool)
	misses = slices.DeleteFunc(misses, func(m NearMiss) bool {
		again := m.Evidence.Envelope != "" && shown[m.Evidence.Envelope]
		shown[m.Evidence.Envelope] = true
		return again
	})
	res.Status = StatusFail
	if len(misses) > 0 {
		res.Code = misses[0].Failed[0].Code
		res.Message = misses[0].Failed[0].sentence()
		res.NearMisses = misses[:min(len(misses), maxNearMisses)]
	}
	return res
}

// maxNearMisses is how many candidates a rule reports when none satisfied it.
const maxNearMisses = 3

func (c Check) sentence() string {
	return fmt.Sprintf("%s is %s, want %s", c.Path, c.Got, c.Want)
}
