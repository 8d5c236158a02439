package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
)

// A failure inside is an error, and never a yes: neither from the rule that
// panics, nor from one that passed before it.
func TestPanicIsAnError(t *testing.T) {
	passes := func(*view) RuleResult { return RuleResult{Status: StatusPass} }
	for name, judges := range map[string][]judge{
		"a message":      {func(*view) RuleResult { panic("boom") }},
		"behind a pass":  {passes, func(*view) RuleResult { panic("boom") }},
		"before a pass":  {func(*view) RuleResult { panic("boom") }, passes},
		"a real one":     {func(v *view) RuleResult { return RuleResult{ID: v.items[3].principals[0]} }},
		"an error":       {func(*view) RuleResult { panic(errors.New("boom")) }},
		"a hostile text": {func(*view) RuleResult { panic("\x1b[2J\n" + strings.Repeat("A", 10<<10)) }},
		"nothing":        {func(*view) RuleResult { panic(nil) }},
		"no judge":       {nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Policy{}
			for _, j := range judges {
				p.rules = append(p.rules, &rule{id: "r", kind: "signature", judge: j})
			}
			now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
			d := p.Evaluate(Input{Artifact: Artifact{"app", attest.DigestSet{"sha256": strings.Repeat("a", 64)}}, Now: now})
			var undecided *Undecided
			if d.Outcome != Error || d.Code != Undecidable || !errors.As(d.Err(), &undecided) || undecided.Retryable {
				t.Fatalf("%s %s, %v", d.Outcome, d.Code, d.Err())
			}
			if len(d.Rules) != 0 || !d.ValidUntil.IsZero() || d.Artifact.Name != "app" || !d.EvaluatedAt.Equal(now) {
				t.Errorf("%+v", d)
			}
			if !strings.HasPrefix(d.Message, "internal error: ") || len(d.Message) > 2*maxShown || unsafeText(d.Message) != "" {
				t.Errorf("message %q", d.Message)
			}
		})
	}
	// The same policy with a judge that works does pass: it was the panic.
	p := &Policy{rules: []*rule{{id: "r", judge: passes}}}
	if d := p.Evaluate(Input{Artifact: Artifact{Digests: attest.DigestSet{"sha256": strings.Repeat("a", 64)}}, Now: time.Unix(1, 0)}); d.Outcome != Pass {
		t.Errorf("%s: %s", d.Outcome, d.Message)
	}
}

// What nobody set refuses: the zero values, and any that is none.
func TestZeroValuesRefuse(t *testing.T) {
	var o Outcome
	var s Status
	if o != Error || o.String() != "error" || s != StatusError || s.String() != "error" {
		t.Errorf("zero outcome %s, zero status %s", o, s)
	}
	if o := Outcome(99); o.String() != "error" || (Decision{Outcome: o}).Err() == nil {
		t.Errorf("an outcome that is none reads %s", o)
	}
	// A result that a rule forgot to fill in counts as not judged.
	d := Decision{Rules: []RuleResult{{Status: StatusPass}, {}}}
	if d.conclude(&Policy{}, &Input{Now: time.Unix(1, 0)}); d.Outcome != Error || !d.ValidUntil.IsZero() {
		t.Errorf("%s until %s", d.Outcome, d.ValidUntil)
	}
	// A denial by one rule outweighs that another could not be judged.
	for _, rules := range [][]RuleResult{{{Status: StatusFail}, {}}, {{}, {Status: StatusFail}}, {{Status: StatusPass}, {}, {Status: StatusFail}}} {
		d := Decision{Rules: rules}
		if d.conclude(&Policy{}, &Input{Now: time.Unix(1, 0)}); d.Outcome != Fail {
			t.Errorf("%v: %s, want fail", rules, d.Outcome)
		}
	}
}
