package policy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

const githubForm = "github: {repo: acme/app, ref: refs/tags/v*}"

// reusable is a run of acme/app that calls a workflow of acme/builders.
func reusable(ref string) func(*evidence.Certificate) {
	return func(c *evidence.Certificate) {
		c.BuildSignerURI = "https://github.com/acme/builders/.github/workflows/go.yml@" + ref
		c.SANs[0].Value = c.BuildSignerURI
	}
}

// old leaves only the deprecated extensions.
func old(c *evidence.Certificate) {
	*c = evidence.Certificate{NotBefore: c.NotBefore, NotAfter: c.NotAfter, SANs: c.SANs, Legacy: c.Legacy}
}

func TestSigners(t *testing.T) {
	type change = func(*evidence.Certificate)
	const calls = "github: {repo: acme/app, ref: refs/tags/v*, workflow: \"acme/builders/.github/workflows/go.yml@%s\"}"
	gitlab := func(c *evidence.Certificate) {
		const uri = "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/tags/v1.2.3"
		*c = evidence.Certificate{SANs: []evidence.SAN{{Kind: "uri", Value: uri}}, Issuer: "https://gitlab.com", BuildSignerURI: uri,
			BuildConfigURI: uri, SourceRepositoryURI: "https://gitlab.com/acme/app", SourceRef: "refs/tags/v1.2.3"}
	}
	person := func(address string) change {
		return func(c *evidence.Certificate) {
			*c = evidence.Certificate{SANs: []evidence.SAN{{Kind: "email", Value: address}}, Issuer: "https://accounts.google.com"}
		}
	}
	robot := func(kind, subject string) change {
		return func(c *evidence.Certificate) {
			*c = evidence.Certificate{SANs: []evidence.SAN{{Kind: kind, Value: subject}}, Issuer: "https://issuer.example.com"}
		}
	}
	for _, test := range []struct {
		name   string
		signer string
		cert   []change
		failed string // path of a check that fails; empty: accepted
	}{
		{"github", githubForm, nil, ""},
		{"repo pattern", "github: {repo: acme/a*, ref: refs/tags/v*}", nil, ""},
		{"another repo", "github: {repo: acme/other, ref: refs/tags/v*}", nil, "signer.repo"},
		{"repo in another case", "github: {repo: acme/App, ref: refs/tags/v*}", nil, "signer.repo"},
		{"repo with a longer name", "github: {repo: acme/ap, ref: refs/tags/v*}", nil, "signer.repo"},
		{"owner with a longer name", "github: {repo: acm/app, ref: refs/tags/v*}", nil, "signer.repo"},
		{"repo of another host", githubForm, []change{func(c *evidence.Certificate) { c.SourceRepositoryURI = "https://github.com.evil.example/acme/app" }}, "signer.repo"},
		{"repo behind user-info", githubForm, []change{func(c *evidence.Certificate) { c.SourceRepositoryURI = "https://github.com@evil.example/acme/app" }}, "signer.repo"},
		{"repo behind dots", githubForm, []change{func(c *evidence.Certificate) { c.SourceRepositoryURI = "https://github.com/evil/../acme/app" }}, "signer.repo"},
		{"repo with a query", githubForm, []change{func(c *evidence.Certificate) { c.SourceRepositoryURI = "https://github.com/acme/app?x" }}, "signer.repo"},
		{"repo over http", githubForm, []change{func(c *evidence.Certificate) { c.SourceRepositoryURI = "http://github.com/acme/app" }}, "signer.repo"},
		{"repo percent-encoded", githubForm, []change{func(c *evidence.Certificate) { c.SourceRepositoryURI = "https://github.com/acme/%61pp" }}, "signer.repo"},
		{"repo with a look-alike letter", githubForm, []change{func(c *evidence.Certificate) { c.SourceRepositoryURI = "https://github.com/\u0430cme/app" }}, "signer.repo"},
		{"repo missing", githubForm, []change{func(c *evidence.Certificate) { c.SourceRepositoryURI = "" }}, "signer.repo"},
		{"a branch", githubForm, []change{at("refs/heads/main")}, "signer.ref"},
		{"a branch with the name of a tag", githubForm, []change{at("refs/heads/refs/tags/v1")}, "signer.ref"},
		{"a pull request", "github: {repo: acme/app, ref: refs/heads/main}", []change{at("refs/pull/7/merge")}, "signer.ref"},
		{"ref with a slash", githubForm, []change{at("refs/tags/v1/x")}, "signer.ref"},
		{"any ref", "github: {repo: acme/app, ref: \"**\"}", []change{at("refs/pull/7/merge")}, ""},
		{"ref missing", "github: {repo: acme/app, ref: \"**\"}", []change{func(c *evidence.Certificate) { c.SourceRef = "" }}, "signer.ref"},
		{"ref by expression", "github: {repo: acme/app, ref: {re: 'refs/tags/v[0-9]+\\.[0-9]+\\.[0-9]+'}}", nil, ""},
		{"ref by expression, longer", "github: {repo: acme/app, ref: {re: 'refs/tags/v[0-9]'}}", nil, "signer.ref"},

		{"another issuer", githubForm, []change{func(c *evidence.Certificate) { c.Issuer, c.Legacy.Issuer = "https://issuer.example.com", "" }}, "signer.issuer"},
		{"issuer with a slug", githubForm, []change{func(c *evidence.Certificate) { c.Issuer += "/acme"; c.Legacy.Issuer += "/acme" }}, "signer.issuer"},
		{"issuer with a slug, written", "github: {repo: acme/app, ref: refs/tags/v*, issuer: https://token.actions.githubusercontent.com/acme}",
			[]change{func(c *evidence.Certificate) { c.Issuer += "/acme"; c.Legacy.Issuer += "/acme" }}, ""},
		{"old and new issuers differ", githubForm, []change{func(c *evidence.Certificate) { c.Legacy.Issuer = "https://evil.example" }}, "signer.issuer"},
		{"old and new repos differ", githubForm, []change{func(c *evidence.Certificate) { c.Legacy.Repository = "evil/app" }}, "signer.repo"},
		{"old and new refs differ", githubForm, []change{func(c *evidence.Certificate) { c.Legacy.Ref = "refs/tags/v9" }}, "signer.ref"},
		{"old and new commits differ", githubForm, []change{func(c *evidence.Certificate) { c.Legacy.SHA = "x" }}, "signer.commit"},
		{"old and new events differ", githubForm, []change{func(c *evidence.Certificate) { c.Legacy.Trigger = "release" }}, "signer.event"},
		{"another name than the signer URI", githubForm, []change{func(c *evidence.Certificate) { c.SANs[0].Value += "x" }}, "signer.name"},
		{"two names", githubForm, []change{func(c *evidence.Certificate) { c.SANs = append(c.SANs, c.SANs[0]) }}, "signer.name"},
		{"no name", githubForm, []change{func(c *evidence.Certificate) { c.SANs = nil }}, "signer.name"},
		{"name that is an e-mail", githubForm, []change{func(c *evidence.Certificate) { c.SANs[0].Kind = "email" }}, "signer.name"},

		{"self-hosted", githubForm, []change{func(c *evidence.Certificate) { c.RunnerEnvironment = "self-hosted" }}, "signer.runner"},
		{"self-hosted, written", "github: {repo: acme/app, ref: refs/tags/v*, runner: self-hosted}", []change{func(c *evidence.Certificate) { c.RunnerEnvironment = "self-hosted" }}, ""},
		{"runner missing", githubForm, []change{func(c *evidence.Certificate) { c.RunnerEnvironment = "" }}, "signer.runner"},
		{"runner any", "github: {repo: acme/app, ref: refs/tags/v*, runner: any}", []change{func(c *evidence.Certificate) { c.RunnerEnvironment = "" }}, ""},
		{"pull_request_target", githubForm, []change{func(c *evidence.Certificate) { c.BuildTrigger, c.Legacy.Trigger = "pull_request_target", "" }}, "signer.event"},
		{"workflow_run, written", "github: {repo: acme/app, ref: refs/tags/v*, event: [workflow_run]}", []change{func(c *evidence.Certificate) { c.BuildTrigger, c.Legacy.Trigger = "workflow_run", "" }}, ""},
		{"push where workflow_run is written", "github: {repo: acme/app, ref: refs/tags/v*, event: workflow_run}", nil, "signer.event"},
		{"event missing", githubForm, []change{func(c *evidence.Certificate) { c.BuildTrigger, c.Legacy.Trigger = "", "" }}, "signer.event"},
		{"repoID", "github: {repo: acme/app, ref: refs/tags/v*, repoID: \"11\", ownerID: \"22\"}", nil, ""},
		{"another repoID", "github: {repo: acme/app, ref: refs/tags/v*, repoID: \"12\"}", nil, "signer.repoID"},
		{"another ownerID", "github: {repo: acme/app, ref: refs/tags/v*, ownerID: \"2\"}", nil, "signer.ownerID"},
		{"environment missing", "github: {repo: acme/app, ref: refs/tags/v*, environment: prod}", nil, "signer.environment"},
		{"environment", "github: {repo: acme/app, ref: refs/tags/v*, environment: prod}", []change{func(c *evidence.Certificate) { c.DeploymentEnv = "prod" }}, ""},
		{"entry", "github: {repo: acme/app, ref: refs/tags/v*, entry: .github/workflows/release.yml}", nil, ""},
		{"another entry", "github: {repo: acme/app, ref: refs/tags/v*, entry: .github/workflows/other.yml}", nil, "signer.entry"},

		{"workflow of the repository", "github: {repo: acme/app, ref: refs/tags/v*, workflow: .github/workflows/release.yml}", nil, ""},
		{"another workflow", "github: {repo: acme/app, ref: refs/tags/v*, workflow: .github/workflows/other.yml}", nil, "signer.workflow"},
		{"reusable workflow, not written", githubForm, []change{reusable("refs/tags/v2")}, "signer.workflow"},
		{"workflow at another ref", githubForm, []change{func(c *evidence.Certificate) {
			c.BuildSignerURI = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/evil"
			c.SANs[0].Value = c.BuildSignerURI
		}}, "signer.workflow"},
		{"dynamic workflow", githubForm, []change{func(c *evidence.Certificate) {
			c.BuildSignerURI = "https://github.com/acme/app/dynamic/pages/x.yml@refs/tags/v1.2.3"
			c.SANs[0].Value = c.BuildSignerURI
		}}, "signer.workflow"},
		{"reusable workflow, tag", fmt.Sprintf(calls, "v2*"), []change{reusable("refs/tags/v2")}, ""},
		{"reusable workflow, another tag", fmt.Sprintf(calls, "v2*"), []change{reusable("refs/tags/v3")}, "signer.workflow ref"},
		{"reusable workflow, a branch of that name", fmt.Sprintf(calls, "v2"), []change{reusable("refs/heads/v2")}, "signer.workflow ref"},
		{"reusable workflow, commit", fmt.Sprintf(calls, commit), []change{reusable(commit)}, ""},
		{"reusable workflow, any commit", fmt.Sprintf(calls, "*"), []change{reusable(commit)}, ""},
		{"reusable workflow, any commit is no branch", fmt.Sprintf(calls, "*"), []change{reusable("refs/heads/main")}, "signer.workflow ref"},
		{"reusable workflow, any ref", fmt.Sprintf(calls, "**"), []change{reusable("refs/heads/main")}, ""},
		{"reusable workflow of another file", fmt.Sprintf(calls, "**"), []change{func(c *evidence.Certificate) {
			c.BuildSignerURI = "https://github.com/acme/builders/.github/workflows/go.yml.yml@refs/heads/main"
			c.SANs[0].Value = c.BuildSignerURI
		}}, "signer.workflow"},
		{"the repository's own workflow where a reusable is written", fmt.Sprintf(calls, "**"), nil, "signer.workflow"},
		{"workflowSHA", "github: {repo: acme/app, ref: refs/tags/v*, workflowSHA: " + commit + "}", nil, ""},
		{"another workflowSHA", "github: {repo: acme/app, ref: refs/tags/v*, workflowSHA: 1123456789abcdef0123456789abcdef01234567}", nil, "signer.workflowSHA"},

		{"old certificate: no runner", githubForm, []change{old}, "signer.runner"},
		{"old certificate, runner any", "github: {repo: acme/app, ref: refs/tags/v*, runner: any}", []change{old}, ""},
		{"old certificate, another repo", "github: {repo: acme/other, ref: refs/tags/v*, runner: any}", []change{old}, "signer.repo"},
		{"GHE.com", "github: {server: acme.ghe.com, repo: acme/app, ref: refs/tags/v*}", []change{func(c *evidence.Certificate) {
			for _, s := range []*string{&c.BuildSignerURI, &c.SANs[0].Value, &c.SourceRepositoryURI, &c.BuildConfigURI} {
				*s = "https://acme.ghe.com" + (*s)[len("https://github.com"):]
			}
			c.Issuer, c.Legacy.Issuer = "https://token.actions.acme.ghe.com", ""
		}}, ""},
		{"GHE.com, and github.com is written", githubForm, []change{func(c *evidence.Certificate) {
			c.SourceRepositoryURI = "https://acme.ghe.com/acme/app"
		}}, "signer.repo"},

		{"gitlab", "gitlab: {project: acme/app, ref: refs/tags/v*}", []change{gitlab}, ""},
		{"gitlab, another project", "gitlab: {project: acme/other, ref: refs/tags/v*}", []change{gitlab}, "signer.project"},
		{"gitlab, another server", "gitlab: {server: gitlab.example.com, project: acme/app, ref: refs/tags/v*}", []change{gitlab}, "signer.issuer"},
		{"gitlab, a branch", "gitlab: {project: acme/app, ref: refs/heads/main}", []change{gitlab}, "signer.ref"},
		{"gitlab, a configuration elsewhere", "gitlab: {project: acme/app, ref: refs/tags/v*}", []change{gitlab, func(c *evidence.Certificate) {
			c.BuildSignerURI = "https://gitlab.com/evil/ci//x.yml@refs/tags/v1.2.3"
			c.SANs[0].Value, c.BuildConfigURI = c.BuildSignerURI, c.BuildSignerURI
		}}, "signer.config"},
		{"gitlab, that configuration written", "gitlab: {project: acme/app, ref: refs/tags/v*, config: \"acme/ci//x.yml@v1*\"}", []change{gitlab, func(c *evidence.Certificate) {
			c.BuildSignerURI = "https://gitlab.com/acme/ci//x.yml@refs/tags/v1.0"
			c.SANs[0].Value, c.BuildConfigURI = c.BuildSignerURI, c.BuildSignerURI
		}}, ""},
		{"gitlab, github's certificate", "gitlab: {project: acme/app, ref: refs/tags/v*}", nil, "signer.issuer"},

		{"email", "email: {address: jo@example.com, issuer: https://accounts.google.com}", []change{person("jo@Example.COM")}, ""},
		{"email, local part in another case", "email: {address: jo@example.com, issuer: https://accounts.google.com}", []change{person("Jo@example.com")}, "signer.address"},
		{"email, sub-address", "email: {address: jo@example.com, issuer: https://accounts.google.com}", []change{person("jo+x@example.com")}, "signer.address"},
		{"email, another domain", "email: {address: jo@example.com, issuer: https://accounts.google.com}", []change{person("jo@example.com.evil.example")}, "signer.address"},
		{"email, another issuer", "email: {address: jo@example.com, issuer: https://github.com/login/oauth}", []change{person("jo@example.com")}, "signer.issuer"},
		{"email as a URI", "email: {address: jo@example.com, issuer: https://issuer.example.com}", []change{robot("uri", "jo@example.com")}, "signer.address"},
		{"oidc", "oidc: {issuer: https://issuer.example.com, subject: https://robots.example.com/one}", []change{robot("uri", "https://robots.example.com/one")}, ""},
		{"oidc, other name", "oidc: {issuer: https://issuer.example.com, subject: one}", []change{robot("other", "one")}, ""},
		{"oidc, another subject", "oidc: {issuer: https://issuer.example.com, subject: https://robots.example.com/on}", []change{robot("uri", "https://robots.example.com/one")}, "signer.subject"},
		{"oidc, an e-mail", "oidc: {issuer: https://issuer.example.com, subject: jo@example.com}", []change{robot("email", "jo@example.com")}, "signer.subject"},
		{"oidc, issuer with a slash", "oidc: {issuer: https://issuer.example.com/, subject: one}", []change{robot("other", "one")}, "signer.issuer"},
		{"oidc by the old issuer", "oidc: {issuer: https://issuer.example.com, subject: one}", []change{robot("other", "one"), func(c *evidence.Certificate) {
			c.Legacy.Issuer, c.Issuer = c.Issuer, ""
		}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cert := githubCert(test.cert...)
			d := load(t, signerRule(test.signer)).Evaluate(input(piece(1, by(cert), statement("https://example.com/p", "{}"))))
			if test.failed == "" {
				wantPass(t, d)
				return
			}
			wantFail(t, d, policy.UntrustedSigner, test.failed)
		})
	}
}

const publicKey = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n"

func TestWindows(t *testing.T) {
	window := func(from, until string) *policy.Policy {
		text := "policy: v1\nsigners:\n  s:\n    " + githubForm + "\n"
		if from != "" {
			text += "    from: " + from + "\n"
		}
		if until != "" {
			text += "    until: " + until + "\n"
		}
		return load(t, text+"require:\n  - signature: {by: s, content: any}\n")
	}
	st := statement("https://example.com/p", "{}")
	at := signed.Format(time.RFC3339)
	later := signed.Add(time.Second).Format(time.RFC3339)
	for _, test := range []struct {
		name        string
		from, until string
		times       []time.Time
		ok          bool
	}{
		{"inside", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", []time.Time{signed}, true},
		{"from is inclusive", at, "", []time.Time{signed}, true},
		{"before", later, "", []time.Time{signed}, false},
		{"until is exclusive", "", at, []time.Time{signed}, false},
		{"just before the end", "", later, []time.Time{signed}, true},
		{"every time counts", at, "", []time.Time{signed.Add(-time.Second), signed}, false},
		{"date alone", "2026-03-04", "2026-03-05", []time.Time{signed}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := window(test.from, test.until).Evaluate(input(piece(1, by(githubCert()), st, func(f *evidence.Facts) {
				f.Times = nil
				for _, at := range test.times {
					f.Times = append(f.Times, evidence.Time{Kind: evidence.RFC3161, Time: at, Authority: "tsa"})
				}
			})))
			if test.ok {
				wantPass(t, d)
			} else {
				wantFail(t, d, policy.UntrustedSigner, "signer.time")
			}
		})
	}

	// Without a verified time, which only a key may lack, now is compared.
	key := "policy: v1\ntrust:\n  alone: {log: none, timestamps: none}\nsigners:\n  s:\n    key: {file: k.pub}\n    trust: alone\n    until: 2026-03-04T05:06:08Z\nrequire:\n  - signature: {by: s}\n"
	p, err := policy.Load("policy.yaml", []byte(key), files{"k.pub": publicKey})
	if err != nil {
		t.Fatal(err)
	}
	in := input(piece(1, byKey(spki(t)), nil, message, func(f *evidence.Facts) { f.Times, f.Logs = nil, nil }))
	d := p.Evaluate(in)
	wantPass(t, d)
	if want := now.Add(time.Second); !d.ValidUntil.Equal(want) {
		t.Errorf("valid until %s, want the end of the window %s", d.ValidUntil, want)
	}
	in.Now = now.Add(time.Second)
	wantFail(t, p.Evaluate(in), policy.UntrustedSigner, "signer.time")
}
