package policy_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/policy/report"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// rendered is everything that a decision says, as text and as JSON.
func rendered(t testing.TB, d policy.Decision) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Text(&b, d); err != nil {
		t.Error(err)
	}
	if err := report.JSON(&b, d); err != nil {
		t.Error(err)
	}
	return b.String()
}

// twelve is an input of twelve pieces, of which none is good provenance: near
// misses at every stage, copies of one file and of one envelope, other types,
// another artifact, and some that were refused. The second result is what is
// missing for a pass.
func twelve() (policy.Input, []evidence.Evidence) {
	inputs := set(provenanceOf(githubCert()), "buildDefinition.externalParameters.inputs", map[string]any{"debug": true})
	branch := githubCert(at("refs/heads/main"))
	almost := piece(1, by(githubCert()), statement(typeV1, inputs))
	in := input(
		almost.At("dist/a.json"), almost.At("mirror/a.json"),
		piece(2, by(githubCert()), statement(typeV1, inputs), func(f *evidence.Facts) { f.Envelope = almost.Envelope() }),
		piece(3, by(branch), statement(typeV1, provenanceOf(branch))),
		mallory(4), mallory(5),
		good(6, func(f *evidence.Facts) { f.Logs = nil }),
		otherArtifact(7).At("dist/other.json"),
		piece(8, by(githubCert()), statement("https://spdx.dev/Document", "{}")),
	)
	in.Rejected = []policy.Rejected{
		{Bundle: "sha256:x", Location: "dist/x.json", Reason: "bad-signature", Detail: "of a"},
		{Bundle: "sha256:x", Location: "dist/x.json", Reason: "bad-signature", Detail: "of b"},
		{Bundle: "sha256:y", Location: "dist/y.json", Reason: "malformed", Detail: "truncated"},
	}
	in.Sources = []policy.SourceReport{{Name: "dist", Found: 8}, {Name: "mirror", Found: 4}}
	return in, []evidence.Evidence{good(10), good(10).At("again"), approval(11)}
}

// Nobody can steer a decision, or a report of it, by the order in which evidence
// is found.
func TestOrderOfEvidence(t *testing.T) {
	in, missing := twelve()
	if n := len(in.Evidence) + len(in.Rejected); n != 12 {
		t.Fatalf("%d pieces, want 12", n)
	}
	failed := []policy.SourceReport{{Name: "dist"}, {Name: "mirror", Error: "status 503", Retryable: true}}
	for _, test := range []struct {
		name    string
		sources []policy.SourceReport
		none    bool // of the twelve but those that were refused
		more    []evidence.Evidence
		outcome policy.Outcome
		misses  int // near misses of the first rule
	}{
		{"denied", in.Sources, false, nil, policy.Fail, 3},
		{"half of it denied", in.Sources, false, missing[2:], policy.Fail, 3},
		{"undecided", failed, false, nil, policy.Error, 3},
		{"passed", in.Sources, false, missing, policy.Pass, 0},
		{"refused alone", in.Sources, true, nil, policy.Fail, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := load(t, twoRules)
			decide := func(random *rand.Rand) policy.Decision {
				in, _ := twelve()
				if test.none {
					in.Evidence = nil
				}
				in.Evidence, in.Sources = append(in.Evidence, test.more...), test.sources
				if random != nil {
					random.Shuffle(len(in.Evidence), func(i, j int) { in.Evidence[i], in.Evidence[j] = in.Evidence[j], in.Evidence[i] })
					random.Shuffle(len(in.Rejected), func(i, j int) { in.Rejected[i], in.Rejected[j] = in.Rejected[j], in.Rejected[i] })
				}
				return p.Evaluate(in)
			}
			first := decide(nil)
			pieces := 12 + len(test.more)
			if test.none {
				pieces = 3
			}
			if first.Outcome != test.outcome || len(first.Evidence) != pieces || len(first.Rules[0].NearMisses) != test.misses {
				t.Fatalf("%s with %d pieces and %d near misses: %s, want %s, %d and %d", first.Outcome, len(first.Evidence),
					len(first.Rules[0].NearMisses), first.Message, test.outcome, pieces, test.misses)
			}
			want := rendered(t, first)
			for seed := range uint64(50) {
				if got := rendered(t, decide(rand.New(rand.NewPCG(seed, 7)))); got != want {
					t.Fatalf("seed %d gives\n%s\nwant\n%s", seed, got, want)
				}
			}
		})
	}
}

// Junk can be attached by anybody: it makes nothing pass, and nothing fail.
func TestJunkChangesNoOutcome(t *testing.T) {
	in, _ := twelve()
	for name, c := range map[string]struct {
		text    string
		pieces  []evidence.Evidence
		outcome policy.Outcome
	}{
		"satisfied":      {twoRules, []evidence.Evidence{good(20), approval(21)}, policy.Pass},
		"half satisfied": {twoRules, []evidence.Evidence{approval(21)}, policy.Fail},
		"nothing":        {oneRule, nil, policy.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			p := load(t, c.text)
			if d := p.Evaluate(input(c.pieces...)); d.Outcome != c.outcome {
				t.Fatalf("without: %s", d.Message)
			}
			for i, junk := range in.Evidence {
				if d := p.Evaluate(input(append([]evidence.Evidence{junk}, c.pieces...)...)); d.Outcome != c.outcome {
					t.Errorf("with piece %d: %s, %s", i, d.Outcome, d.Message)
				}
			}
			with := in
			with.Evidence = append(append([]evidence.Evidence{}, in.Evidence...), c.pieces...)
			for i := range 300 {
				with.Evidence = append(with.Evidence, mallory(1000+i))
				with.Rejected = append(with.Rejected, policy.Rejected{Bundle: fmt.Sprint("sha256:", i), Reason: "bad-signature"})
			}
			if d := p.Evaluate(with); d.Outcome != c.outcome {
				t.Errorf("with all: %s, %s", d.Outcome, d.Message)
			}
		})
	}
}
