package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// thirty is a policy of thirty rules, each with a signer of its own; the
// evidence is by the first.
func thirty() string {
	var signers, rules strings.Builder
	for i := range 30 {
		ref := "refs/tags/v1.*"
		if i > 0 {
			ref = fmt.Sprintf("refs/heads/release-%d", i)
		}
		fmt.Fprintf(&signers, "  s%d: {github: {repo: acme/app, workflow: .github/workflows/release.yml, ref: %s}}\n", i, ref)
		fmt.Fprintf(&rules, "  - id: r%d\n    provenance: {by: s%d, source: {repo: github.com/acme/app, tag: \">=1.0.0 <2.0.0\"}}\n", i, i)
	}
	return "policy: v1\nexpires: 2030-01-01\nsigners:\n" + signers.String() + "require:\n" + rules.String()
}

func BenchmarkLoad(b *testing.B) {
	data := []byte(thirty())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.Load("p", data, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	for _, c := range []struct {
		name   string
		text   string
		pieces int
	}{{"1 rule over 1 piece", oneRule, 1}, {"30 rules over 50 pieces", thirty(), 50}} {
		b.Run(c.name, func(b *testing.B) {
			p := load(b, c.text)
			var pieces []evidence.Evidence
			for i := range c.pieces {
				pieces = append(pieces, good(i+1))
			}
			in := input(pieces...)
			if d := p.Evaluate(in); d.Rules[0].Status != policy.StatusPass {
				b.Fatal(d.Message)
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Evaluate(in)
			}
		})
	}
}
