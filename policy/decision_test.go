package policy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// A source that failed turns a no into an error, as it may hold what is
// missing. It changes no yes: these kinds ask for any one piece.
func TestFailedSources(t *testing.T) {
	ok := policy.SourceReport{Name: "dist", Found: 1}
	down := policy.SourceReport{Name: "registry", Error: "status 503", Retryable: true}
	denied := policy.SourceReport{Name: "mirror", Error: "status 403"}
	for _, test := range []struct {
		name      string
		pieces    []evidence.Evidence
		sources   []policy.SourceReport
		outcome   policy.Outcome
		retryable bool
		says      string
	}{
		{"all answered, satisfied", []evidence.Evidence{good(1), approval(2)}, []policy.SourceReport{ok}, policy.Pass, false, ""},
		{"all answered, one missing", []evidence.Evidence{good(1)}, []policy.SourceReport{ok}, policy.Fail, false, "approval: "},
		{"one down, satisfied", []evidence.Evidence{good(1), approval(2)}, []policy.SourceReport{ok, down}, policy.Pass, false, ""},
		{"one down, one missing", []evidence.Evidence{good(1)}, []policy.SourceReport{ok, down}, policy.Error, true, "registry did not answer (status 503)"},
		{"one forbids, one missing", []evidence.Evidence{good(1)}, []policy.SourceReport{ok, denied}, policy.Error, false, "mirror did not answer (status 403)"},
		{"one forbids, one down", []evidence.Evidence{approval(2)}, []policy.SourceReport{denied, down}, policy.Error, true, "build: "},
		{"one down, one forbids", []evidence.Evidence{approval(2)}, []policy.SourceReport{down, denied}, policy.Error, true, "build: registry did not answer"},
		{"one down, a near miss", []evidence.Evidence{mallory(1), approval(2)}, []policy.SourceReport{down}, policy.Error, true, "signer.repo is mallory/app"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := input(test.pieces...)
			in.Sources = test.sources
			d := load(t, twoRules).Evaluate(in)
			if d.Outcome != test.outcome || !strings.Contains(d.Message, test.says) {
				t.Fatalf("%s: %q, want %s and %q", d.Outcome, d.Message, test.outcome, test.says)
			}
			if !slices.Equal(d.Sources, test.sources) {
				t.Errorf("sources %v, want %v", d.Sources, test.sources)
			}
			if test.outcome != policy.Error {
				return
			}
			var undecided *policy.Undecided
			if !errors.As(d.Err(), &undecided) || undecided.Retryable != test.retryable || undecided.Decision.Outcome != policy.Error {
				t.Errorf("error %v, want an undecided, retryable %v", d.Err(), test.retryable)
			}
			for _, r := range d.Rules {
				if r.Status == policy.StatusFail || r.Status == policy.StatusError && r.Code != policy.Fetch {
					t.Errorf("%s: %s %s", r.ID, r.Status, r.Code)
				}
			}
		})
	}
}

// Who is two principals at once counts for neither; and a window that has ended
// makes one of two.
func TestTwoPrincipals(t *testing.T) {
	const key = "policy: v1\nsigners:\n  s: {%s}\n  z: {%s}\nrequire:\n  - {id: a, signature: {by: s, content: any}}\n  - {id: b, signature: {by: z, content: any}}\n"
	const form, near, other, third = "github: {repo: acme/app, ref: refs/tags/v*}", "github: {repo: acme/a*, ref: refs/tags/v*}",
		"github: {repo: acme/b*, ref: refs/tags/v*}", "github: {repo: acme/c*, ref: refs/tags/v*}"
	at := signed.Format(time.RFC3339)
	for name, c := range map[string]struct {
		s, z   string
		codes  [2]policy.Code // of the two rules
		called string
	}{
		"both at once":            {form, near, [2]policy.Code{policy.Ambiguous, policy.Ambiguous}, "s and z"},
		"one after the other":     {"until: " + at + ", " + form, "from: " + at + ", " + near, [2]policy.Code{policy.UntrustedSigner, ""}, "z"},
		"one before the other":    {"from: " + at + ", " + form, "until: " + at + ", " + near, [2]policy.Code{"", policy.UntrustedSigner}, "s"},
		"another repository's":    {form, other, [2]policy.Code{"", policy.UntrustedSigner}, "s"},
		"of neither's repository": {third, other, [2]policy.Code{policy.UntrustedSigner, policy.UntrustedSigner}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := load(t, fmt.Sprintf(key, c.s, c.z)).Evaluate(input(good(1)))
			for i, r := range d.Rules {
				if r.Code != c.codes[i] || (r.Status == policy.StatusPass) != (c.codes[i] == "") {
					t.Errorf("rule %s: %s %s %s, want %q", r.ID, r.Status, r.Code, r.Message, c.codes[i])
				}
			}
			if d.Outcome == policy.Pass {
				t.Error("one signature passes for two people")
			}
			if got := d.Evidence[0].Evidence.Principal; got != c.called {
				t.Errorf("principal %q, want %q", got, c.called)
			}
		})
	}
}

func TestErrorTexts(t *testing.T) {
	named := load(t, "name: release\n"+oneRule)
	unnamed := load(t, oneRule)
	late := input(good(1))
	late.Now = time.Time{}
	for name, c := range map[string]struct {
		d    policy.Decision
		want string
	}{
		"denied":            {named.Evaluate(input()), "denied by policy release: provenance: no evidence was found"},
		"denied, unnamed":   {unnamed.Evaluate(input()), "denied by policy " + unnamed.Digest().String() + ": provenance: no evidence was found"},
		"undecided":         {named.Evaluate(late), "could not decide by policy release: no time was given to decide at"},
		"undecided, by nil": {(*policy.Policy)(nil).Evaluate(late), "the policy is empty"},
	} {
		if err := c.d.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// The nearest candidate comes first, and what failed of it in the order trust,
// signer, content.
func TestNearestFirst(t *testing.T) {
	inputs := func(names ...string) *evidence.Evidence {
		m := make(map[string]any)
		for _, n := range names {
			m[n] = true
		}
		e := piece(len(names), by(githubCert()), statement(typeV1, set(provenanceOf(githubCert()), "buildDefinition.externalParameters.inputs", m)))
		return &e
	}
	one, two, three := *inputs("a"), *inputs("a", "b"), *inputs("a", "b", "c")
	nothing := func(f *evidence.Facts) { f.Logs, f.Times, f.Root.Digest, f.SCT = nil, nil, keySHA, false }
	// One check fails of it, and few are passed: the predicate is none.
	unread := piece(7, by(githubCert()), statement(typeV1, "{}"))
	far := piece(9, by(githubCert(at("refs/heads/main"))), statement(typeV1, "{}"), nothing)
	for name, c := range map[string]struct {
		pieces []evidence.Evidence
		want   []evidence.Evidence
	}{
		"fewer failures":       {[]evidence.Evidence{three, one, two}, []evidence.Evidence{one, two, three}},
		"whatever was passed":  {[]evidence.Evidence{two, unread}, []evidence.Evidence{unread, two}},
		"content before trust": {[]evidence.Evidence{far, three}, []evidence.Evidence{three, far}},
		"at most three":        {[]evidence.Evidence{far, mallory(8), three, one, two}, []evidence.Evidence{one, two, three}},
		"a copy counts once":   {[]evidence.Evidence{one.At("a"), one.At("b"), far}, []evidence.Evidence{one, far}},
	} {
		t.Run(name, func(t *testing.T) {
			d := load(t, oneRule).Evaluate(input(c.pieces...))
			r := d.Rules[0]
			if d.Outcome != policy.Fail || len(r.NearMisses) != len(c.want) {
				t.Fatalf("%s, %d near misses, want %d", d.Outcome, len(r.NearMisses), len(c.want))
			}
			for i, m := range r.NearMisses {
				if m.Evidence.Bundle != c.want[i].Bundle() {
					t.Errorf("place %d has %s, want %s", i, m.Evidence.Bundle, c.want[i].Bundle())
				}
			}
			first := r.NearMisses[0].Failed[0]
			if r.Code != first.Code || !strings.Contains(r.Message, first.Path) {
				t.Errorf("%s %q does not speak of the nearest, %+v", r.Code, r.Message, first)
			}
		})
	}
	d := load(t, oneRule).Evaluate(input(far))
	var order []string
	for _, c := range d.Rules[0].NearMisses[0].Failed {
		stage, _, _ := strings.Cut(c.Path, ".")
		if len(order) == 0 || order[len(order)-1] != stage {
			order = append(order, stage)
		}
	}
	if want := []string{"trust", "signer", "provenance"}; !slices.Equal(order, want) {
		t.Errorf("checks in the order %v, want %v", order, want)
	}
}

// A decision may be reused until the first thing that could change it.
func TestValidUntilTheFirstEnd(t *testing.T) {
	hours := func(n int) string { return now.Add(time.Duration(n) * time.Hour).Format(time.RFC3339) }
	other := func(window string) string {
		return strings.Replace(twoRules, "  jo: {", "  jo: {"+window+", ", 1)
	}
	pass, fail := []evidence.Evidence{good(1), approval(2)}, []evidence.Evidence{good(1)}
	for name, c := range map[string]struct {
		text    string
		pieces  []evidence.Evidence
		outcome policy.Outcome
		hours   int
	}{
		"a pass":                         {twoRules, pass, policy.Pass, 24},
		"a denial":                       {twoRules, fail, policy.Fail, 24},
		"the policy ends just then":      {"expires: " + hours(24) + "\n" + twoRules, pass, policy.Pass, 24},
		"the policy ends an hour before": {"expires: " + hours(23) + "\n" + twoRules, pass, policy.Pass, 23},
		"a signer's window begins":       {other("from: " + hours(2)), pass, policy.Fail, 2},
		"a signer's window ends":         {other("until: " + hours(3)), pass, policy.Pass, 3},
		"a window that is over":          {other("until: " + hours(-3)), pass, policy.Fail, 24},
		"a window, and nothing signed":   {other("from: " + hours(-3) + ", until: " + hours(5)), fail, policy.Fail, 5},
		"the earliest of several":        {"expires: " + hours(7) + "\n" + other("from: "+hours(6)+", until: "+hours(8)), pass, policy.Fail, 6},
	} {
		t.Run(name, func(t *testing.T) {
			d := load(t, c.text).Evaluate(input(c.pieces...))
			if d.Outcome != c.outcome || !d.ValidUntil.Equal(now.Add(time.Duration(c.hours)*time.Hour)) {
				t.Errorf("%s (%s) until %s, want %s for %d hours", d.Outcome, d.Message, d.ValidUntil, c.outcome, c.hours)
			}
		})
	}
	in := input(fail...)
	in.Sources = []policy.SourceReport{{Name: "registry", Error: "down", Retryable: true}}
	if d := load(t, twoRules).Evaluate(in); d.Outcome != policy.Error || !d.ValidUntil.IsZero() {
		t.Errorf("%s until %s: an error is no answer to keep", d.Outcome, d.ValidUntil)
	}
}

// Every relaxation is in the decision, in the order of the policy, once.
func TestEveryRelaxationIsListed(t *testing.T) {
	text := `policy: v1
trust:
  loose: {root: public-good, log: none, sct: none}
  untimed: {root: public-good, timestamps: none}
  alone: {log: none, timestamps: none}
signers:
  ci:
    trust: loose
    github: {repo: acme/app, ref: "**", runner: any, event: [push, workflow_run], workflow: "acme/b/.github/workflows/go.yml@**"}
  own: {trust: untimed, github: {repo: acme/app, ref: refs/tags/v*, runner: self-hosted}}
  lab: {gitlab: {project: acme/app, ref: "**"}}
  k: {trust: alone, key: {file: k.pub}}
require:
  - {id: build, provenance: {by: ci, parameters: any, builder: "**"}}
  - {id: own, provenance: {by: own}}
  - {id: lab, provenance: {by: lab, builder: "https://gitlab.com/**"}}
  - {id: approval, signature: {by: k, content: any}}
`
	p, err := policy.Load("policy.yaml", []byte(text), files{"k.pub": publicKey})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"signer ci: workflow: @** accepts any version of .github/workflows/go.yml",
		"signer ci: ref: ** accepts a run from any branch, tag or pull request",
		"signer ci: runner: any accepts machines that are not GitHub's",
		"signer ci: event: workflow_run does not prove the ref that it runs with",
		"signer ci: log: none under trust loose",
		"signer ci: sct: none under trust loose",
		"signer own: runner: self-hosted accepts machines that are not GitHub's",
		"signer own: timestamps: none under trust untimed",
		"signer lab: ref: ** accepts a pipeline of any branch or tag",
		"signer k: log: none under trust alone",
		"signer k: timestamps: none under trust alone",
		"rule build: builder: ** accepts any builder.id",
		"rule build: parameters: any accepts whatever the build was told",
		"rule approval: content: any takes an attestation about the artifact for a signature, whatever it says",
	}
	// They are listed whatever was decided: also where nothing was judged.
	late := input()
	late.Now = time.Time{}
	for name, in := range map[string]policy.Input{"denied": input(), "undecided": late} {
		if got := p.Evaluate(in).Relaxations; !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if d := load(t, twoRules).Evaluate(input(good(1), approval(2))); len(d.Relaxations) != 0 {
		t.Errorf("relaxations %q of a policy that relaxes nothing", d.Relaxations)
	}
}

// Evaluate changes nothing that it is given, also when many ask at once.
func TestEvaluateChangesNothing(t *testing.T) {
	in, _ := twelve()
	before, _ := twelve()
	p := load(t, twoRules)
	want := rendered(t, p.Evaluate(in))
	var group sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		group.Go(func() { got[i] = rendered(t, p.Evaluate(in)) })
	}
	group.Wait()
	for i, g := range got {
		if g != want {
			t.Errorf("decision %d differs:\n%s\nwant\n%s", i, g, want)
		}
	}
	for i := range in.Evidence {
		if in.Evidence[i].Bundle() != before.Evidence[i].Bundle() || in.Evidence[i].Location() != before.Evidence[i].Location() {
			t.Errorf("evidence %d was moved", i)
		}
	}
	if !slices.Equal(before.Rejected, in.Rejected) || !slices.Equal(before.Sources, in.Sources) || !slices.Equal(before.Roots, in.Roots) {
		t.Error("rejected, sources or roots were changed")
	}
}
