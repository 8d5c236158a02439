package policy_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/policy/report"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// Mistakes that were made here once, or by others, each with what it led to.

// A second copy of an envelope, without its timestamp, must not hide the first,
// whichever of the two sorts first.
func TestStrippedCopyHidesNothing(t *testing.T) {
	rules := load(t, "policy: v1\ntrust:\n  t: {root: public-good, timestamps: 1}\nsigners:\n  s: {trust: t, github: {repo: acme/app, ref: refs/tags/v*}}\nrequire:\n  - provenance: {by: s}\n")
	c := githubCert()
	st := statement(typeV1, provenanceOf(c))
	same := func(f *evidence.Facts) { f.Envelope = "sha256:" + strings.Repeat("e", 64) }
	stamped := func(f *evidence.Facts) {
		same(f)
		f.Times = append(f.Times, evidence.Time{Kind: evidence.RFC3161, Time: signed, Authority: "https://tsa.example.com"})
	}
	for _, full := range []int{1, 3} {
		d := rules.Evaluate(input(piece(full, by(c), st, stamped), piece(2, by(c), st, same)))
		wantPass(t, d)
		if len(d.Rules[0].Used) != 1 {
			t.Errorf("%d used, want one", len(d.Rules[0].Used))
		}
	}
	wantFail(t, rules.Evaluate(input(piece(2, by(c), st, same))), policy.NoTime, "trust.timestamps")
	// Two that satisfy count once.
	if d := rules.Evaluate(input(piece(1, by(c), st, stamped), piece(2, by(c), st, stamped))); len(d.Rules[0].Used) != 1 || len(d.Evidence) != 2 {
		t.Errorf("%d used of %d", len(d.Rules[0].Used), len(d.Evidence))
	}
}

// Names of parameters come from outside: anybody with an identity may write
// what clears a screen and draws a pass.
func TestHostileParameterNames(t *testing.T) {
	c := githubCert(func(c *evidence.Certificate) {
		c.SourceRepositoryURI, c.Legacy.Repository = "https://github.com/mallory/x", "mallory/x"
	})
	p := provenanceOf(c)
	parameters := p["buildDefinition"].(map[string]any)["externalParameters"].(map[string]any)
	parameters["x\x1b[2J\x1b[HPASS  app\n\u202e\u009b"] = "y"
	parameters[strings.Repeat("A", 1<<20)] = "y"
	inputs := make(map[string]any)
	for i := range 5000 {
		inputs[fmt.Sprint("b", i)] = i
	}
	parameters["inputs"] = inputs
	d := load(t, "policy: v1\nrequire:\n  - provenance: {from: github.com/acme/app@v*}\n").Evaluate(input(piece(1, by(c), statement(typeV1, p))))
	if d.Outcome != policy.Fail {
		t.Fatal(d.Outcome)
	}
	miss := d.Rules[0].NearMisses[0]
	if len(miss.Failed) != 32 || miss.More < 4900 {
		t.Errorf("%d failed checks and %d more", len(miss.Failed), miss.More)
	}
	var text, json bytes.Buffer
	if report.Text(&text, d) != nil || report.JSON(&json, d) != nil {
		t.Fatal("not rendered")
	}
	if text.Len() > 64<<10 || json.Len() > 64<<10 {
		t.Errorf("reports of %d and %d bytes", text.Len(), json.Len())
	}
	for _, r := range text.String() + json.String() {
		if r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x202e {
			t.Fatalf("character %U in a report", r)
		}
	}
}

// A build type that names no source does not escape the comparison with the
// certificate.
func TestUnknownBuildTypeNeedsItsSource(t *testing.T) {
	c := githubCert()
	for _, buildType := range []string{"https://tekton.dev/chains/v2/slsa", "https://example.com/other"} {
		p := map[string]any{
			"buildDefinition": map[string]any{"buildType": buildType, "externalParameters": map[string]any{"a": 1},
				"resolvedDependencies": []any{map[string]any{"uri": "git+https://github.com/evil/other@refs/heads/x", "digest": map[string]any{"gitCommit": strings.Repeat("9", 40)}}}},
			"runDetails": map[string]any{"builder": map[string]any{"id": "https://example.com/b"}},
		}
		rule := []string{"builder: https://example.com/b", "parameters: any"}
		in := input(piece(1, by(c), statement(typeV1, p)))
		wantFail(t, load(t, provenanceRule(rule...)).Evaluate(in), policy.Expectation, "provenance.source")
		_, err := policy.Load("p", []byte(provenanceRule(append(rule, "buildType: "+buildType)...)), nil)
		if err == nil || !strings.Contains(err.Error(), "at is missing") {
			t.Errorf("%s without source.at: %v", buildType, err)
		}
		rule = append(rule, "buildType: "+buildType, "source: {at: \"resolvedDependencies[git+https://**]\"}")
		wantFail(t, load(t, provenanceRule(rule...)).Evaluate(in), policy.Expectation, "provenance.source.repo as the certificate has it")
		set(p, "buildDefinition.resolvedDependencies", []any{map[string]any{"uri": "git+https://github.com/acme/app@refs/tags/v1.2.3", "digest": map[string]any{"gitCommit": commit}}})
		wantPass(t, load(t, provenanceRule(rule...)).Evaluate(input(piece(1, by(c), statement(typeV1, p)))))
	}
}

// Events that run with the default branch as ref prove no branch, whichever
// issuer vouches for them and however old the certificate.
func TestBranchNeedsAnEventThatProvesIt(t *testing.T) {
	const issuer = "https://token.actions.githubusercontent.com/acme"
	for event, pass := range map[string]bool{"push": true, "pull_request_target": false} {
		for name, change := range map[string]func(*evidence.Certificate){
			"the usual issuer": func(*evidence.Certificate) {},
			"an enterprise":    func(c *evidence.Certificate) { c.Issuer, c.Legacy.Issuer = issuer, issuer },
			"old extensions":   func(c *evidence.Certificate) { old(c) },
		} {
			t.Run(event+" by "+name, func(t *testing.T) {
				c := githubCert(at("refs/heads/main"), func(c *evidence.Certificate) { c.BuildTrigger, c.Legacy.Trigger = event, event })
				p := provenanceOf(c)
				change(c)
				who := "repo: acme/app, runner: any, ref: refs/heads/main, event: [push, pull_request_target]"
				if name == "an enterprise" {
					who += ", issuer: " + issuer
				}
				d := load(t, "policy: v1\nsigners:\n  s: {github: {"+who+"}}\nrequire:\n  - provenance: {by: s, parameters: any, builder: \"**\", source: {branch: main}}\n").
					Evaluate(input(piece(1, by(c), statement(typeV1, p))))
				if pass {
					wantPass(t, d)
				} else {
					wantFail(t, d, policy.Expectation, "provenance.source.branch")
				}
			})
		}
	}
}

// What the table of build types names must be there.
func TestEntryPoints(t *testing.T) {
	v02 := func(buildType, uri, alg, entry, material string) string {
		return fmt.Sprintf(`{"builder":{"id":"https://github.com/actions/runner/github-hosted"},"buildType":%q,"invocation":{"configSource":{"uri":%q,"digest":{%q:%q}%s},"parameters":{}},
			"materials":[{"uri":%q,"digest":{%q:%q}}]}`, buildType, uri, alg, commit, entry, material, alg, commit)
	}
	const app = "git+https://github.com/acme/app@refs/tags/v1.2.3"
	entry := `,"entryPoint":".github/workflows/release.yml"`
	for _, buildType := range []string{"https://github.com/npm/cli/gha/v2", "https://github.com/npm/cli/gha@v1"} {
		wantPass(t, load(t, provenanceRule()).Evaluate(input(piece(1, by(githubCert()), statement(typeV02, v02(buildType, app, "sha1", entry, app))))))
		wantFail(t, load(t, provenanceRule()).Evaluate(input(piece(1, by(githubCert()), statement(typeV02, v02(buildType, app, "sha1", "", app))))), policy.Expectation, "provenance.source")
	}

	uri := "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/tags/v1.2.3"
	c := &evidence.Certificate{SANs: []evidence.SAN{{Kind: "uri", Value: uri}}, Issuer: "https://gitlab.com", BuildSignerURI: uri,
		BuildConfigURI: uri, SourceRepositoryURI: "https://gitlab.com/acme/app", SourceRef: "refs/tags/v1.2.3", SourceDigest: commit}
	rule := func(parameters string) *policy.Policy {
		return load(t, "policy: v1\nsigners:\n  s: {gitlab: {project: acme/app, ref: refs/tags/v*}}\nrequire:\n  - provenance: {by: s, builder: \"https://g*/**\", parameters: "+parameters+"}\n")
	}
	gitlab := func(job any) *policy.Input {
		p := map[string]any{
			"buildDefinition": map[string]any{"buildType": "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/v16.0.0/PROVENANCE.md",
				"externalParameters":   map[string]any{"source": "https://gitlab.com/acme/app", "entryPoint": job, "variables": map[string]any{}},
				"resolvedDependencies": []any{map[string]any{"uri": "https://gitlab.com/acme/app", "digest": map[string]any{"sha256": commit}}}},
			"runDetails": map[string]any{"builder": map[string]any{"id": "https://gitlab.com/acme/app/-/runners/1"}},
		}
		in := input(piece(1, by(c), statement(typeV1, p)))
		return &in
	}
	wantPass(t, rule("{variables: any, entryPoint: build}").Evaluate(*gitlab("build")))
	wantFail(t, rule("{variables: any, entryPoint: build}").Evaluate(*gitlab("evil")), policy.Expectation, "provenance.parameters.entryPoint")
	wantFail(t, rule("{variables: any}").Evaluate(*gitlab("build")), policy.Expectation, "provenance.parameters.entryPoint")
	wantFail(t, rule("any").Evaluate(*gitlab(nil)), policy.Expectation, "provenance.source")
	old := "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/v15.0.0/PROVENANCE.md"
	wantPass(t, rule("any").Evaluate(input(piece(1, by(c), statement(typeV02, v02(old, "https://gitlab.com/acme/app", "sha1", entry, "https://gitlab.com/acme/app"))))))
	wantFail(t, rule("any").Evaluate(input(piece(1, by(c), statement(typeV02, v02(old, "https://gitlab.com/acme/app", "sha1", entry, "https://gitlab.com/evil/other"))))), policy.Expectation, "provenance.source")
}

// The configuration of a container-based build is a file of its own, and no
// workflow.
func TestContainerBased(t *testing.T) {
	c := githubCert()
	src := map[string]any{"uri": "git+https://github.com/acme/app@refs/tags/v1.2.3", "digest": map[string]any{"sha1": commit}}
	p := map[string]any{
		"buildDefinition": map[string]any{"buildType": "https://slsa.dev/container-based-build/v0.1?draft",
			"externalParameters":   map[string]any{"source": src, "configPath": "docker/config.toml", "builderImage": map[string]any{"uri": "bash@sha256:" + sha}},
			"resolvedDependencies": []any{src}},
		"runDetails": map[string]any{"builder": map[string]any{"id": c.BuildSignerURI}},
	}
	rule := load(t, provenanceRule("parameters: {configPath: docker/config.toml, builderImage: any}"))
	wantPass(t, rule.Evaluate(input(piece(1, by(c), statement(typeV1, p)))))
	set(p, "buildDefinition.externalParameters.configPath", "evil.toml")
	wantFail(t, rule.Evaluate(input(piece(1, by(c), statement(typeV1, p)))), policy.Expectation, "provenance.parameters.configPath")
	set(p, "buildDefinition.externalParameters.configPath", nil)
	wantFail(t, rule.Evaluate(input(piece(1, by(c), statement(typeV1, p)))), policy.Expectation, "provenance.source")
}

// A condition that lets everything through is a relaxation, however it is
// written.
func TestCatchAllsAreRelaxations(t *testing.T) {
	for _, fields := range []string{`ref: "**"`, `ref: "refs/**"`, `ref: {re: ".*"}`, `ref: "*/**"`,
		`ref: refs/tags/v*, workflow: "acme/builders/.github/workflows/go.yml@*"`, `ref: refs/tags/v*, workflow: "acme/builders/.github/workflows/go.yml@**"`} {
		if !strings.Contains(fields, "workflow") {
			fields += ", workflow: .github/workflows/x.yml"
		}
		p := load(t, "policy: v1\nexpires: 2030-01-01\nsigners:\n  s: {github: {repo: acme/app, "+fields+"}}\nrequire:\n  - provenance: {by: s}\n")
		if d := p.Evaluate(input()); len(d.Relaxations) != 1 || len(p.Warnings()) != 1 {
			t.Errorf("%s: relaxations %q, warnings %v", fields, d.Relaxations, p.Warnings())
		}
	}
	for _, text := range []string{"from: github.com/acme/app@**", "from: github.com/acme/app@refs/**", "by: s, builder: \"https://**\""} {
		p := load(t, "policy: v1\nsigners:\n  s: {github: {repo: acme/app, ref: refs/tags/v*}}\nrequire:\n  - provenance: {"+text+"}\n")
		if d := p.Evaluate(input()); len(d.Relaxations) != 1 {
			t.Errorf("%s: relaxations %q", text, d.Relaxations)
		}
	}
	strict := load(t, "policy: v1\nsigners:\n  s: {github: {repo: acme/app, ref: refs/tags/v*, workflow: \"acme/builders/.github/workflows/go.yml@v*\"}}\nrequire:\n  - provenance: {by: s, builder: \"https://github.com/acme/**\"}\n")
	if d := strict.Evaluate(input()); len(d.Relaxations) != 0 {
		t.Errorf("relaxations %q", d.Relaxations)
	}
}

// Texts that a reader could take for something else.
func TestOddTextsAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"non-specific tag":             "name: ! prod\n",
		"directive behind a comment":   "# x\n%YAML 1.1\n---\n",
		"date with a comma":            "expires: 2027-01-01T00:00:00,5Z\n",
		"date with one digit of hours": "expires: 2027-01-01T1:00:00Z\n",
	} {
		data := slices.Concat([]byte(text), []byte("policy: v1\nrequire:\n  - provenance: {from: github.com/acme/app@v*}\n"))
		if p, err := policy.Load("p", data, nil); err == nil || p != nil {
			t.Errorf("%s: loaded", name)
		}
	}
	for _, text := range []string{"name: !<%1b%5b31m> x\n", "name: 2026-01-01 \u202e\n", "na\u009bme: x\n"} {
		_, err := policy.Load("p", []byte(text+"policy: v1\nrequire:\n  - provenance: {from: github.com/acme/app@v*}\n"), nil)
		if err == nil || strings.ContainsAny(err.Error(), "\x1b\u202e\u009b") {
			t.Errorf("%q: %q", text, err)
		}
	}
}

// A repository URI means one repository.
func TestRefsInURIs(t *testing.T) {
	rule := load(t, "policy: v1\nsigners:\n  s: {oidc: {issuer: https://i.example.com, subject: https://i.example.com/x}}\nrequire:\n  - provenance: {by: s, builder: https://example.com/b, buildType: https://example.com/t, parameters: any, source: {repo: github.com/acme/app, at: \"resolvedDependencies[src]\"}}\n")
	c := &evidence.Certificate{Issuer: "https://i.example.com", SANs: []evidence.SAN{{Kind: "uri", Value: "https://i.example.com/x"}}}
	for uri, pass := range map[string]bool{
		"git+https://github.com/acme/app@refs/tags/v1": true, "https://github.com/acme/app": true,
		"git+https://github.com/acme/app@x/../../evil": false, "git+https://github.com/acme/app@": false, "git+https://github.com/acme/app@a//b": false,
	} {
		p := map[string]any{
			"buildDefinition": map[string]any{"buildType": "https://example.com/t", "externalParameters": map[string]any{"target": "x"},
				"resolvedDependencies": []any{map[string]any{"name": "src", "uri": uri, "digest": map[string]any{"gitCommit": commit}}}},
			"runDetails": map[string]any{"builder": map[string]any{"id": "https://example.com/b"}},
		}
		if d := rule.Evaluate(input(piece(1, by(c), statement(typeV1, p)))); (d.Outcome == policy.Pass) != pass {
			t.Errorf("%s: %s %s", uri, d.Outcome, d.Message)
		}
	}
}

// Objects nest in external parameters to a limit, as each level is read again.
func TestParameterDepth(t *testing.T) {
	for depth, pass := range map[int]bool{12: true, 13: false} {
		var inner any = "x"
		for range depth - 1 {
			inner = map[string]any{"a": inner}
		}
		p := provenanceOf(githubCert())
		set(p, "buildDefinition.externalParameters.z", inner)
		d := load(t, provenanceRule("parameters: {workflow: any, z: any}")).Evaluate(input(piece(1, by(githubCert()), statement(typeV1, p))))
		if pass {
			wantPass(t, d)
		} else {
			wantFail(t, d, policy.Expectation, "provenance.parameters")
		}
	}
}

// The order in which refused evidence was handed in decides nothing.
func TestOrderOfRefusedEvidence(t *testing.T) {
	a := policy.Rejected{Bundle: "sha256:a", Location: "a.json", Reason: "digest-needed", Detail: "sha512"}
	b := policy.Rejected{Bundle: "sha256:b", Location: "b.json", Reason: "misused", Detail: "none"}
	one, two := input(), input()
	one.Rejected, two.Rejected = []policy.Rejected{a, b}, []policy.Rejected{b, a}
	x, y := load(t, oneRule).Evaluate(one), load(t, oneRule).Evaluate(two)
	if x.Message != y.Message || x.Rules[0].Code != policy.DigestNeeded || y.Rules[0].Code != policy.DigestNeeded {
		t.Errorf("%q and %q", x.Message, y.Message)
	}
	if two.Rejected[0] != b {
		t.Error("the caller's list was changed")
	}
	// Nor does that of two copies whose proofs differ.
	rules := load(t, strings.Replace(oneRule, "s: {github", "s: {trust: t, github", 1)+"trust:\n  t: {root: public-good, log: none}\n")
	p, q := good(1), good(1, func(f *evidence.Facts) { f.Logs = nil })
	var first, second bytes.Buffer
	if report.JSON(&first, rules.Evaluate(input(p, q))) != nil || report.JSON(&second, rules.Evaluate(input(q, p))) != nil || first.String() != second.String() {
		t.Error("the order of copies shows")
	}
}

// The rule's own signer speaks of another digest algorithm: nobody can tell
// whether about this artifact. A stranger who does the same changes nothing.
func TestAnotherStrongAlgorithm(t *testing.T) {
	st := statement(typeV1, provenanceOf(githubCert()), attest.Subject{Name: "app", Digest: attest.DigestSet{"sha512": strings.Repeat("c", 128)}})
	d := load(t, oneRule).Evaluate(input(piece(1, by(githubCert()), st)))
	if d.Outcome != policy.Error || d.Rules[0].Code != policy.DigestNeeded {
		t.Errorf("%s %s", d.Outcome, d.Message)
	}
	stranger := githubCert(func(c *evidence.Certificate) {
		c.SourceRepositoryURI, c.Legacy.Repository = "https://github.com/mallory/x", "mallory/x"
	})
	if d := load(t, oneRule).Evaluate(input(piece(1, by(stranger), st))); d.Outcome != policy.Fail {
		t.Errorf("a stranger: %s %s", d.Outcome, d.Message)
	}
}

// One envelope counts once, under however many roots it was verified.
func TestOneEnvelopeUnderTwoRoots(t *testing.T) {
	in := input(good(1), good(1, func(f *evidence.Facts) { f.Root.Name, f.Root.Digest = policy.Given, keySHA }))
	in.Roots = append(in.Roots, policy.Root{Name: policy.Given, Digest: keySHA})
	d := load(t, oneRule).Evaluate(in)
	wantPass(t, d)
	if len(d.Rules[0].Used) != 1 {
		t.Errorf("%d used, want one", len(d.Rules[0].Used))
	}
}

// What was decided without a source that failed is not reused.
func TestFailedSourceIsNotRemembered(t *testing.T) {
	in := input(good(1))
	in.Sources = []policy.SourceReport{{Name: "registry", Error: "status 503"}}
	d := load(t, oneRule).Evaluate(in)
	wantPass(t, d)
	if !d.ValidUntil.IsZero() {
		t.Errorf("valid until %s", d.ValidUntil)
	}
}
