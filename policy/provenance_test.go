package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// provenanceRule is a policy about provenance by acme/app, with more fields of
// the rule, one on each line.
func provenanceRule(fields ...string) string {
	text := "policy: v1\nsigners:\n  s: {github: {repo: acme/app, ref: \"**\", runner: any}}\nrequire:\n  - provenance:\n      by: s\n"
	for _, f := range fields {
		text += "      " + f + "\n"
	}
	return text
}

func TestProvenance(t *testing.T) {
	type predicate = map[string]any
	const dep = "buildDefinition.resolvedDependencies"
	wf := "buildDefinition.externalParameters.workflow"
	for _, test := range []struct {
		name   string
		rule   []string
		cert   []func(*evidence.Certificate)
		change func(predicate)
		failed string
	}{
		{name: "as the workflow says"},
		{name: "the whole source", rule: []string{"source: {repo: github.com/acme/app, ref: refs/tags/v1.2.3, commit: " + commit + "}"}},
		{name: "tag range", rule: []string{`source: {repo: github.com/acme/app, tag: ">=1.0.0 <2.0.0"}`}},
		{name: "another repository", rule: []string{"source: {repo: github.com/acme/other}"}, failed: "provenance.source.repo"},
		{name: "repository in another case", rule: []string{"source: {repo: github.com/Acme/app}"}, failed: "provenance.source.repo"},
		{name: "repository of another host", rule: []string{"source: {repo: gitlab.com/acme/app}"}, failed: "provenance.source.repo"},
		{name: "another ref", rule: []string{"source: {ref: refs/tags/v2*}"}, failed: "provenance.source.ref"},
		{name: "a branch is wanted", rule: []string{"source: {branch: v1.2.3}"}, failed: "provenance.source.branch"},
		{name: "a branch", rule: []string{"source: {branch: main}"}, cert: []func(*evidence.Certificate){at("refs/heads/main")}},
		{name: "a tag is wanted", rule: []string{`source: {tag: ">=0.0.0"}`}, cert: []func(*evidence.Certificate){at("refs/heads/v1.2.3")}, failed: "provenance.source.tag"},
		{name: "older than the range", rule: []string{`source: {tag: ">=2.0.0"}`}, failed: "provenance.source.tag"},
		{name: "another commit", rule: []string{"source: {commit: 1123456789abcdef0123456789abcdef01234567}"}, failed: "provenance.source.commit"},
		{name: "built in type", rule: []string{"buildType: https://actions.github.io/buildtypes/workflow/v1"}},
		{name: "another build type", rule: []string{"buildType: https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"}, failed: "provenance.buildType"},
		{name: "builder", rule: []string{`builder: "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v*"`}},
		{name: "another builder", rule: []string{"builder: https://github.com/acme/app"}, failed: "provenance.builder"},

		// The predicate against its own certificate, whatever the policy asks.
		{name: "speaks of another repository", change: func(p predicate) {
			set(p, wf+".repository", "https://github.com/acme/other")
			set(p, dep+"[0].uri", "git+https://github.com/acme/other@refs/tags/v1.2.3")
		}, failed: "provenance.source.repo as the certificate has it"},
		{name: "speaks of another ref", change: func(p predicate) {
			set(p, wf+".ref", "refs/tags/v9.9.9")
			set(p, dep+"[0].uri", "git+https://github.com/acme/app@refs/tags/v9.9.9")
		}, failed: "provenance.source.ref as the certificate has it"},
		{name: "speaks of another commit", change: func(p predicate) {
			set(p, dep+"[0].digest", predicate{"gitCommit": "1123456789abcdef0123456789abcdef01234567"})
		}, failed: "provenance.source.commit as the certificate has it"},
		{name: "speaks of another workflow", change: func(p predicate) { set(p, wf+".path", ".github/workflows/other.yml") }, failed: "provenance.source.entry as the certificate has it"},
		{name: "calls itself another builder", change: func(p predicate) { set(p, "runDetails.builder.id", "https://github.com/actions/runner/github-hosted") }, failed: "provenance.builder"},
		{name: "unknown build type", change: func(p predicate) { set(p, "buildDefinition.buildType", "https://example.com/made-up") }, failed: "provenance.buildType"},
		{name: "no dependency", change: func(p predicate) { set(p, dep, nil) }, failed: "provenance.source"},
		{name: "dependency of another URI", change: func(p predicate) { set(p, dep+"[0].uri", "git+https://github.com/acme/app@refs/tags/v1.2.4") }, failed: "provenance.source"},
		{name: "two such dependencies", change: func(p predicate) {
			d := p["buildDefinition"].(predicate)
			d["resolvedDependencies"] = append(d["resolvedDependencies"].([]any), d["resolvedDependencies"].([]any)[0])
		}, failed: "provenance.source"},
		{name: "dependency without commit", change: func(p predicate) { set(p, dep+"[0].digest", predicate{"sha256": sha}) }, failed: "provenance.source"},
		{name: "dependency with two commits", change: func(p predicate) {
			set(p, dep+"[0].digest", predicate{"gitCommit": commit, "sha1": "1123456789abcdef0123456789abcdef01234567"})
		}, failed: "provenance.source"},
		{name: "short commit", change: func(p predicate) { set(p, dep+"[0].digest", predicate{"gitCommit": commit[:12]}) }, failed: "provenance.source"},
		{name: "repository with a credential", change: func(p predicate) {
			set(p, wf+".repository", "https://token@github.com/acme/app")
			set(p, dep+"[0].uri", "git+https://token@github.com/acme/app@refs/tags/v1.2.3")
		}, failed: "provenance.source"},
		{name: "no workflow", change: func(p predicate) { set(p, wf, nil) }, failed: "provenance.source"},
		{name: "workflow of another shape", change: func(p predicate) { set(p, wf, "x") }, failed: "provenance.source"},
		{name: "empty ref", change: func(p predicate) { set(p, wf+".ref", "") }, failed: "provenance.source"},

		// Parameters are closed.
		{name: "an input", change: func(p predicate) { set(p, "buildDefinition.externalParameters.inputs", predicate{"debug": true}) }, failed: "provenance.parameters.inputs.debug"},
		{name: "no inputs, written empty", change: func(p predicate) { set(p, "buildDefinition.externalParameters.inputs", predicate{}) }},
		{name: "any parameters", rule: []string{"parameters: any"}, change: func(p predicate) { set(p, "buildDefinition.externalParameters.inputs", predicate{"debug": true}) }},
		{name: "written out", rule: []string{"parameters: {workflow.ref: any, workflow.repository: https://github.com/acme/app, workflow.path: \".github/workflows/*\", inputs.debug: false}"},
			change: func(p predicate) { set(p, "buildDefinition.externalParameters.inputs", predicate{"debug": false}) }},
		{name: "another value", rule: []string{"parameters: {workflow: any, inputs.debug: false}"},
			change: func(p predicate) { set(p, "buildDefinition.externalParameters.inputs", predicate{"debug": true}) }, failed: "provenance.parameters.inputs.debug"},
		{name: "one that nobody named", rule: []string{"parameters: {workflow: any, inputs.debug: true}"},
			change: func(p predicate) {
				set(p, "buildDefinition.externalParameters.inputs", predicate{"debug": true, "extra": "x"})
			}, failed: "provenance.parameters.inputs.extra"},
		{name: "one that is not there", rule: []string{"parameters: {workflow: any, inputs.debug: true}"}, failed: "provenance.parameters.inputs.debug"},
		{name: "text where a boolean is wanted", rule: []string{"parameters: {workflow: any, inputs.debug: true}"},
			change: func(p predicate) { set(p, "buildDefinition.externalParameters.inputs", predicate{"debug": "true"}) }, failed: "provenance.parameters.inputs.debug"},
		{name: "a boolean where text is wanted", rule: []string{"parameters: {workflow: any, inputs.debug: \"true\"}"},
			change: func(p predicate) { set(p, "buildDefinition.externalParameters.inputs", predicate{"debug": true}) }, failed: "provenance.parameters.inputs.debug"},
		{name: "numbers", rule: []string{"parameters: {workflow: any, inputs.n: 17}"},
			change: func(p predicate) { set(p, "buildDefinition.externalParameters.inputs", predicate{"n": 17}) }},
		{name: "text where a number is wanted", rule: []string{"parameters: {workflow: any, inputs.n: 17}"},
			change: func(p predicate) { set(p, "buildDefinition.externalParameters.inputs", predicate{"n": "17"}) }, failed: "provenance.parameters.inputs.n"},
		{name: "a list", rule: []string{"parameters: {workflow: any, inputs.l: [a, \"b*\", any]}"},
			change: func(p predicate) {
				set(p, "buildDefinition.externalParameters.inputs", predicate{"l": []any{"a", "bc", 1}})
			}},
		{name: "a longer list", rule: []string{"parameters: {workflow: any, inputs.l: [a]}"},
			change: func(p predicate) {
				set(p, "buildDefinition.externalParameters.inputs", predicate{"l": []any{"a", "b"}})
			}, failed: "provenance.parameters.inputs.l"},
		{name: "a list in another order", rule: []string{"parameters: {workflow: any, inputs.l: [a, b]}"},
			change: func(p predicate) {
				set(p, "buildDefinition.externalParameters.inputs", predicate{"l": []any{"b", "a"}})
			}, failed: "provenance.parameters.inputs.l"},
		{name: "a name with a dot", rule: []string{"parameters: {workflow: any, /inputs/a.b: x}"},
			change: func(p predicate) { set(p, "buildDefinition.externalParameters.inputs", predicate{"a.b": "x"}) }},
		{name: "null is absent", rule: []string{"parameters: {workflow: any}"},
			change: func(p predicate) { set(p, "buildDefinition.externalParameters.inputs", predicate{"a": nil}) }},
		{name: "an empty object is a leaf", rule: []string{"parameters: {workflow: any}"},
			change: func(p predicate) {
				set(p, "buildDefinition.externalParameters.inputs", predicate{"a": predicate{}})
			}, failed: "provenance.parameters.inputs.a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cert := githubCert(test.cert...)
			p := provenanceOf(cert)
			if test.change != nil {
				test.change(p)
			}
			d := load(t, provenanceRule(test.rule...)).Evaluate(input(piece(1, by(cert), statement(typeV1, p))))
			if test.failed == "" {
				wantPass(t, d)
				return
			}
			wantFail(t, d, policy.Expectation, test.failed)
		})
	}
}

// The predicate is read by its type, and never by its shape.
func TestProvenanceByType(t *testing.T) {
	cert := githubCert()
	v1 := provenanceOf(cert)
	v02 := fmt.Sprintf(`{"builder":{"id":"https://github.com/actions/runner/github-hosted"},"buildType":"https://github.com/npm/cli/gha/v2",
		"invocation":{"configSource":{"uri":"git+https://github.com/acme/app@refs/tags/v1.2.3","digest":{"sha1":"%s"},"entryPoint":".github/workflows/release.yml"},"parameters":{},"environment":{}},
		"materials":[{"uri":"git+https://github.com/acme/app@refs/tags/v1.2.3","digest":{"sha1":"%s"}}]}`, commit, commit)
	rule := load(t, provenanceRule("source: {repo: github.com/acme/app, tag: \">=1.0.0\"}"))
	wantPass(t, rule.Evaluate(input(piece(1, by(cert), statement(typeV1, v1)))))
	wantPass(t, rule.Evaluate(input(piece(1, by(cert), statement("https://slsa.dev/provenance/v1.0", v1)))))
	wantPass(t, rule.Evaluate(input(piece(1, by(cert), statement(typeV02, v02)))))
	for name, st := range map[string]*attest.Statement{
		"v1 called v0.2": statement(typeV02, v1),
		"v0.2 called v1": statement(typeV1, v02),
		"empty":          statement(typeV1, "{}"),
		"null fields":    statement(typeV1, `{"buildDefinition":null,"runDetails":null}`),
		"wrong types":    statement(typeV1, `{"buildDefinition":[],"runDetails":1}`),
	} {
		t.Run(name, func(t *testing.T) {
			d := rule.Evaluate(input(piece(1, by(cert), st)))
			wantFail(t, d, policy.Malformed, "provenance.predicate")
		})
	}
	for _, other := range []string{"https://slsa.dev/provenance/v2", "https://slsa.dev/provenance/v1/", "https://slsa.dev/Provenance/v1", "https://slsa.dev/verification_summary/v1"} {
		wantFail(t, rule.Evaluate(input(piece(1, by(cert), statement(other, v1)))), policy.WrongType, "")
	}
}

// What the old forms of provenance must say twice, they must say equally.
func TestProvenanceV02(t *testing.T) {
	cert := githubCert()
	good := func() map[string]any {
		uri, digest := "git+https://github.com/acme/app@refs/tags/v1.2.3", map[string]any{"sha1": commit}
		return map[string]any{
			"builder": map[string]any{"id": cert.BuildSignerURI}, "buildType": "https://github.com/slsa-framework/slsa-github-generator/generic@v1",
			"invocation": map[string]any{"configSource": map[string]any{"uri": uri, "digest": digest, "entryPoint": ".github/workflows/release.yml"}, "parameters": nil},
			"materials":  []any{map[string]any{"uri": uri, "digest": digest}},
		}
	}
	rule := load(t, provenanceRule("source: {repo: github.com/acme/app, ref: refs/tags/v1.2.3}"))
	wantPass(t, rule.Evaluate(input(piece(1, by(cert), statement(typeV02, good())))))
	for name, c := range map[string]struct {
		path  string
		value any
	}{
		"no materials":            {"materials", nil},
		"empty materials":         {"materials", []any{}},
		"another first material":  {"materials[0].uri", "git+https://github.com/acme/other@refs/tags/v1.2.3"},
		"another material commit": {"materials[0].digest", map[string]any{"sha1": strings.Repeat("1", 40)}},
		"no configSource":         {"invocation.configSource", nil},
		"no ref":                  {"invocation.configSource.uri", "git+https://github.com/acme/app"},
		"no commit":               {"invocation.configSource.digest", map[string]any{}},
		"no entry":                {"invocation.configSource.entryPoint", ""},
		"over ssh":                {"invocation.configSource.uri", "git+ssh://github.com/acme/app@refs/tags/v1.2.3"},
	} {
		t.Run(name, func(t *testing.T) {
			wantFail(t, rule.Evaluate(input(piece(1, by(cert), statement(typeV02, set(good(), c.path, c.value))))), policy.Expectation, "provenance.source")
		})
	}
	wantFail(t, rule.Evaluate(input(piece(1, by(cert), statement(typeV02, set(good(), "invocation.configSource.entryPoint", "other.yml"))))),
		policy.Expectation, "provenance.source.entry as the certificate has it")
	wantFail(t, rule.Evaluate(input(piece(1, by(cert), statement(typeV02, set(good(), "invocation.parameters", map[string]any{"x": 1}))))),
		policy.Expectation, "provenance.parameters.x")
}

// Signed by a key there is no certificate: the predicate alone speaks.
func TestProvenanceByKey(t *testing.T) {
	text := "policy: v1\ntrust:\n  alone: {log: none, timestamps: none}\nsigners:\n  s: {key: {file: k.pub}, trust: alone}\nrequire:\n  - provenance: {by: s, builder: https://example.com/b, buildType: https://example.com/t, parameters: {target: x}, source: {repo: example.com/acme/app, at: \"resolvedDependencies[git+https://example.com/**]\"}}\n"
	p, err := policy.Load("p", []byte(text), files{"k.pub": publicKey})
	if err != nil {
		t.Fatal(err)
	}
	good := func() map[string]any {
		return map[string]any{
			"buildDefinition": map[string]any{"buildType": "https://example.com/t", "externalParameters": map[string]any{"target": "x"},
				"resolvedDependencies": []any{map[string]any{"uri": "git+https://example.com/acme/app@refs/heads/main", "digest": map[string]any{"gitCommit": commit}}}},
			"runDetails": map[string]any{"builder": map[string]any{"id": "https://example.com/b"}},
		}
	}
	alone := func(f *evidence.Facts) {
		f.Logs, f.Times, f.Root = nil, nil, evidence.TrustRoot{Name: "keys", Digest: keySHA}
	}
	judge := func(m map[string]any) policy.Decision {
		return p.Evaluate(input(piece(1, byKey(spki(t)), statement(typeV1, m), alone)))
	}
	wantPass(t, judge(good()))
	wantFail(t, judge(set(good(), "runDetails.builder.id", "https://example.com/c")), policy.Expectation, "provenance.builder")
	wantFail(t, judge(set(good(), "buildDefinition.buildType", "https://example.com/u")), policy.Expectation, "provenance.buildType")
	wantFail(t, judge(set(good(), "buildDefinition.externalParameters.more", "y")), policy.Expectation, "provenance.parameters.more")
	wantFail(t, judge(set(good(), "buildDefinition.resolvedDependencies", []any{})), policy.Expectation, "provenance.source")
	wantFail(t, judge(set(good(), "buildDefinition.resolvedDependencies[0].uri", "git+https://example.com/acme/other")), policy.Expectation, "provenance.source.repo")
	wantFail(t, p.Evaluate(input(piece(1, byKey(keySHA), statement(typeV1, good()), alone))), policy.UntrustedSigner, "signer.key")
	wantFail(t, p.Evaluate(input(piece(1, by(githubCert()), statement(typeV1, good())))), policy.UntrustedSigner, "signer.form")
}

func TestSubjectName(t *testing.T) {
	cert := githubCert()
	st := statement(typeV1, provenanceOf(cert), attest.Subject{Name: "app.tar.gz", Digest: attest.DigestSet{"sha256": sha}},
		attest.Subject{Name: "other.deb", Digest: attest.DigestSet{"sha256": strings.Repeat("b", 64)}})
	wantPass(t, load(t, provenanceRule("subjectName: \"*.tar.gz\"")).Evaluate(input(piece(1, by(cert), st))))
	// The name must be that of the subject that binds.
	wantFail(t, load(t, provenanceRule("subjectName: \"*.deb\"")).Evaluate(input(piece(1, by(cert), st))), policy.Expectation, "provenance.subjectName")
}

// The policy that readers of the language try first.
func TestReusableWorkflowPolicy(t *testing.T) {
	const text = `policy: v1
signers:
  builder:
    github:
      repo: acme/app
      workflow: acme/builders/.github/workflows/go.yml@**
      ref: "**"
      runner: any
require:
  - id: build
    provenance:
      by: builder
      builder: "https://github.com/acme/builders/.github/workflows/go.yml@**"
      source: {repo: github.com/acme/app, tag: ">=13.0.0 <14.0.0"}
      parameters: any
`
	p := load(t, text)
	run := func(tag, workflowRef string) (*evidence.Certificate, map[string]any) {
		c := githubCert(at("refs/tags/"+tag), reusable(workflowRef))
		return c, provenanceOf(c)
	}
	for tag, ok := range map[string]bool{"v13.0.0": true, "v13.0.30": true, "13.5": true, "v14.0.0": false, "v14": false, "v12.9.9": false, "v13.1.0-rc.1": false, "v13.1.0+x": false, "latest": false} {
		cert, pred := run(tag, "refs/tags/v2")
		d := p.Evaluate(input(piece(1, by(cert), statement(typeV1, pred))))
		if ok {
			wantPass(t, d)
		} else {
			wantFail(t, d, policy.Expectation, "provenance.source.tag")
		}
	}
	cert, pred := run("v13.0.30", "refs/tags/v2")
	wantFail(t, p.Evaluate(input(piece(1, by(cert), statement(typeV1, set(pred, "runDetails.builder.id", "https://github.com/evil/builders/.github/workflows/go.yml@refs/tags/v2"))))),
		policy.Expectation, "provenance.builder")
	own := githubCert(at("refs/tags/v13.0.30"))
	wantFail(t, p.Evaluate(input(piece(1, by(own), statement(typeV1, provenanceOf(own))))), policy.UntrustedSigner, "signer.workflow")
	fork := githubCert(at("refs/tags/v13.0.30"), reusable("refs/tags/v2"), func(c *evidence.Certificate) {
		c.SourceRepositoryURI, c.Legacy.Repository = "https://github.com/mallory/app", "mallory/app"
	})
	wantFail(t, p.Evaluate(input(piece(1, by(fork), statement(typeV1, provenanceOf(fork))))), policy.UntrustedSigner, "signer.repo")
	d := p.Evaluate(input(func() evidence.Evidence {
		c, m := run("v13.0.30", "refs/heads/main")
		return piece(1, by(c), statement(typeV1, m))
	}()))
	wantPass(t, d)
	if len(d.Relaxations) != 4 {
		t.Errorf("relaxations %q, want those of ref, runner, workflow and parameters", d.Relaxations)
	}
}
