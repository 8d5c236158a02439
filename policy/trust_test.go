package policy_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// trustRule is a policy with one trust, one signer under it, and a rule that
// takes any signature.
func trustRule(trust, signer string) string {
	return "policy: v1\ntrust:\n  t: " + trust + "\nsigners:\n  s: {trust: t, " + signer + "}\nrequire:\n  - signature: {by: s, content: any}\n"
}

// entries are log entries, each written as ID or ID@URL.
func entries(logs ...string) func(*evidence.Facts) {
	return func(f *evidence.Facts) {
		f.Logs = nil
		for i, id := range logs {
			url := "https://log.example.com"
			if len(id) > 1 {
				id, url = id[:1], id[2:]
			}
			f.Logs = append(f.Logs, evidence.LogEntry{LogID: id, Log: url, Index: int64(i), Kind: "dsse 0.0.1", Included: true})
		}
	}
}

// times are verified times of one kind, a second apart.
func times(kind evidence.TimeKind, authorities ...string) func(*evidence.Facts) {
	return func(f *evidence.Facts) {
		f.Times = nil
		for i, a := range authorities {
			f.Times = append(f.Times, evidence.Time{Kind: kind, Time: signed.Add(time.Duration(i) * time.Second), Authority: a})
		}
	}
}

// under moves evidence to a root without logs and without a CT log.
func under(name string, d attest.Digest) func(*evidence.Facts) {
	return func(f *evidence.Facts) { f.Root = evidence.TrustRoot{Name: name, Digest: d} }
}

// What a trust demands is counted by log and by authority, and never by entry
// or by token.
func TestTrustCounts(t *testing.T) {
	type facts = []func(*evidence.Facts)
	noSCT := func(f *evidence.Facts) { f.SCT = false }
	bare := under(policy.PublicGood, rootSHA)
	for _, test := range []struct {
		name   string
		trust  string
		change facts
		code   policy.Code // empty: accepted
		path   string
	}{
		{"log: as prescribed", "{root: public-good}", nil, "", ""},
		{"log: as prescribed, none", "{root: public-good}", facts{entries()}, policy.NotLogged, "trust.log"},
		{"log: 1 of a root without logs", "{root: public-good, log: 1}", facts{bare, entries(), times(evidence.RFC3161, "a")}, policy.NotLogged, "trust.log"},
		{"log: 2 of one log", "{root: public-good, log: 2}", facts{entries("a")}, policy.NotLogged, "trust.log"},
		{"log: 2, two entries of one log", "{root: public-good, log: 2}", facts{entries("a", "a")}, policy.NotLogged, "trust.log"},
		{"log: 2, one log under two URLs", "{root: public-good, log: 2}", facts{entries("a@https://x", "a@https://y")}, policy.NotLogged, "trust.log"},
		{"log: 2, two logs under one URL", "{root: public-good, log: 2}", facts{entries("a", "b")}, "", ""},
		{"log: 3, many entries of two logs", "{root: public-good, log: 3}", facts{entries("a", "b", "a", "b", "a")}, policy.NotLogged, "trust.log"},
		{"log: 3", "{root: public-good, log: 3}", facts{entries("a", "b", "a", "c")}, "", ""},
		{"log: none", "{root: public-good, log: none}", facts{entries()}, "", ""},
		{"log: none of a root without logs", "{root: public-good, log: none}", facts{bare, entries(), times(evidence.RekorSET, "a")}, policy.NoTime, "trust.timestamps"},

		{"timestamps: 1, a log's time alone", "{root: public-good, timestamps: 1}", nil, policy.NoTime, "trust.timestamps"},
		{"timestamps: 1", "{root: public-good, timestamps: 1}", facts{times(evidence.RFC3161, "a")}, "", ""},
		{"timestamps: 2, two tokens of one authority", "{root: public-good, timestamps: 2}", facts{times(evidence.RFC3161, "a", "a")}, policy.NoTime, "trust.timestamps"},
		{"timestamps: 2, two logs' times", "{root: public-good, timestamps: 2}", facts{times(evidence.RekorSET, "a", "b")}, policy.NoTime, "trust.timestamps"},
		{"timestamps: 2", "{root: public-good, timestamps: 2}", facts{times(evidence.RFC3161, "a", "b")}, "", ""},
		{"timestamps: 3, many tokens of two", "{root: public-good, timestamps: 3}", facts{times(evidence.RFC3161, "a", "b", "a", "b")}, policy.NoTime, "trust.timestamps"},
		{"timestamps: none", "{root: public-good, timestamps: none}", nil, "", ""},
		{"timestamps: none, no time at all", "{root: public-good, timestamps: none}", facts{times(evidence.RFC3161)}, policy.NoTime, "trust.time"},
		{"no time at all", "{root: public-good}", facts{times(evidence.RFC3161)}, policy.NoTime, "trust.time"},
		{"a root without logs needs a timestamp", "{root: public-good}", facts{bare, entries("a"), times(evidence.RekorSET, "a")}, policy.NoTime, "trust.timestamps"},
		{"a root without logs, a timestamp", "{root: public-good}", facts{bare, entries(), noSCT, times(evidence.RFC3161, "a")}, "", ""},

		{"sct: as prescribed, none", "{root: public-good}", facts{noSCT}, policy.UntrustedSigner, "trust.sct"},
		{"sct: none", "{root: public-good, sct: none}", facts{noSCT}, "", ""},
		{"sct: 1 of a root without a CT log", "{root: public-good, sct: 1}", facts{bare, noSCT, times(evidence.RFC3161, "a")}, policy.UntrustedSigner, "trust.sct"},
		{"sct: 1", "{root: public-good, sct: 1}", facts{bare, times(evidence.RFC3161, "a")}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := load(t, trustRule(test.trust, githubForm)).Evaluate(input(good(1, test.change...)))
			if test.code == "" {
				wantPass(t, d)
				return
			}
			wantFail(t, d, test.code, test.path)
		})
	}
}

// A root is what its digest says, and the caller says which digests are in
// force under which name. What a bundle's root is called decides nothing.
func TestRootsByDigest(t *testing.T) {
	zero := attest.Digest{}
	for _, test := range []struct {
		name  string
		roots []policy.Root
		root  evidence.TrustRoot
		pass  bool
	}{
		{"in force", []policy.Root{{Name: policy.PublicGood, Digest: rootSHA}}, evidence.TrustRoot{Name: policy.PublicGood, Digest: rootSHA}, true},
		{"called otherwise by the verifier", []policy.Root{{Name: policy.PublicGood, Digest: rootSHA}}, evidence.TrustRoot{Name: "x", Digest: rootSHA}, true},
		{"one of two that are in force", []policy.Root{{Name: policy.PublicGood, Digest: keySHA}, {Name: policy.PublicGood, Digest: rootSHA}}, evidence.TrustRoot{Digest: rootSHA}, true},
		{"none in force", nil, evidence.TrustRoot{Name: policy.PublicGood, Digest: rootSHA}, false},
		{"the right name, another digest", []policy.Root{{Name: policy.PublicGood, Digest: rootSHA}}, evidence.TrustRoot{Name: policy.PublicGood, Digest: keySHA}, false},
		{"in force under another name", []policy.Root{{Name: policy.GitHub, Digest: rootSHA}, {Name: policy.Given, Digest: rootSHA}, {Name: "t", Digest: rootSHA}}, evidence.TrustRoot{Name: policy.PublicGood, Digest: rootSHA}, false},
		{"a name in another case", []policy.Root{{Name: "Public-Good", Digest: rootSHA}}, evidence.TrustRoot{Name: policy.PublicGood, Digest: rootSHA}, false},
		{"no digest on either side", []policy.Root{{Name: policy.PublicGood}}, evidence.TrustRoot{Name: policy.PublicGood, Digest: zero}, false},
		{"no digest in the evidence", []policy.Root{{Name: policy.PublicGood, Digest: rootSHA}}, evidence.TrustRoot{Name: policy.PublicGood}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := input(good(1, times(evidence.RFC3161, "a"), func(f *evidence.Facts) { f.Root = test.root }))
			in.Roots = test.roots
			d := load(t, trustRule("{root: public-good}", githubForm)).Evaluate(in)
			if test.pass {
				wantPass(t, d)
				return
			}
			wantFail(t, d, policy.UntrustedSigner, "trust.root")
		})
	}
}

// Signers without trust: GitHub's own root is for workflows of github.com
// alone; one that the caller gave is for all.
func TestDefaultTrust(t *testing.T) {
	ghe := githubCert(func(c *evidence.Certificate) {
		for _, s := range []*string{&c.BuildSignerURI, &c.SANs[0].Value, &c.SourceRepositoryURI, &c.BuildConfigURI} {
			*s = "https://acme.ghe.com" + (*s)[len("https://github.com"):]
		}
		c.Issuer, c.Legacy.Issuer = "https://token.actions.acme.ghe.com", ""
	})
	const uri = "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/tags/v1.2.3"
	gitlab := &evidence.Certificate{SANs: []evidence.SAN{{Kind: "uri", Value: uri}}, Issuer: "https://gitlab.com", BuildSignerURI: uri,
		BuildConfigURI: uri, SourceRepositoryURI: "https://gitlab.com/acme/app", SourceRef: "refs/tags/v1.2.3"}
	// Also the issuer of github.com makes no workflow of an oidc signer.
	robot := &evidence.Certificate{SANs: []evidence.SAN{{Kind: "uri", Value: "https://github.com/acme/app"}}, Issuer: "https://token.actions.githubusercontent.com"}
	person := approval(1).Signer().Certificate

	all := []string{policy.PublicGood, policy.GitHub, policy.Given}
	notGitHub := []string{policy.PublicGood, policy.Given}
	for _, test := range []struct {
		name    string
		text    string
		cert    *evidence.Certificate
		accepts []string
	}{
		{"github", signerRule(githubForm), githubCert(), all},
		{"github, server written", signerRule("github: {server: github.com, repo: acme/app, ref: refs/tags/v*}"), githubCert(), all},
		{"github on GHE.com", signerRule("github: {server: acme.ghe.com, repo: acme/app, ref: refs/tags/v*}"), ghe, notGitHub},
		{"gitlab", signerRule("gitlab: {project: acme/app, ref: refs/tags/v*}"), gitlab, notGitHub},
		{"email", signerRule("email: {issuer: https://accounts.google.com, address: jo@example.com}"), person, notGitHub},
		{"oidc", signerRule("oidc: {issuer: https://token.actions.githubusercontent.com, subject: https://github.com/acme/app}"), robot, notGitHub},
		{"from", policy.From("github.com/acme/app@v*"), githubCert(), all},
		{"identity", policy.Identity("jo@example.com", "https://accounts.google.com"), person, notGitHub},
		{"trust: public-good", trustRule("{root: public-good}", githubForm), githubCert(), []string{policy.PublicGood}},
		{"trust: github", trustRule("{root: github}", githubForm), githubCert(), []string{policy.GitHub}},
	} {
		p := load(t, test.text)
		if got := p.Verification().Roots; !slices.Equal(slices.Sorted(slices.Values(test.accepts)), got) {
			t.Errorf("%s: a caller is told to verify under %v, want %v", test.name, got, test.accepts)
		}
		for i, root := range append(slices.Clone(all), "corp") {
			t.Run(test.name+" under "+root, func(t *testing.T) {
				digest := mustDigest(fmt.Sprintf("sha256:%064d", i+1))
				in := input(piece(1, by(test.cert), statement(typeV1, provenanceOf(githubCert())), under(root, digest), times(evidence.RFC3161, "a"), entries()))
				in.Roots = []policy.Root{{Name: root, Digest: digest}}
				d := p.Evaluate(in)
				if slices.Contains(test.accepts, root) {
					wantPass(t, d)
					return
				}
				wantFail(t, d, policy.UntrustedSigner, "trust.root")
			})
		}
	}
}

// A root that the policy pins needs no name in force, and no other stands in
// for it.
func TestPinnedRoot(t *testing.T) {
	const root = `{"made": "up"}`
	pin := sumOf([]byte(root))
	text := trustRule("{root: {file: corp.json, sha256: "+pin.Hex()+"}, log: 1}", githubForm)
	p, err := policy.Load("policy.yaml", []byte(text), files{"corp.json": root})
	if err != nil {
		t.Fatal(err)
	}
	v := p.Verification()
	if len(v.Roots) != 0 || len(v.Files) != 1 || v.Files[0].Digest != pin || string(v.Files[0].Data) != root || v.KeysAlone || v.NoLog {
		t.Errorf("a caller is told %+v", v)
	}
	stamped := times(evidence.RFC3161, "a")
	others := []policy.Root{{Name: policy.PublicGood, Digest: rootSHA}, {Name: "t", Digest: rootSHA}, {Name: "corp.json", Digest: rootSHA}}
	for _, test := range []struct {
		name   string
		change []func(*evidence.Facts)
		code   policy.Code
		path   string
	}{
		{"the pinned root", []func(*evidence.Facts){under("t", pin), stamped}, "", ""},
		{"called otherwise", []func(*evidence.Facts){under(policy.PublicGood, pin), stamped}, "", ""},
		{"no log entry", []func(*evidence.Facts){under("t", pin), stamped, entries()}, policy.NotLogged, "trust.log"},
		{"another root under its name", []func(*evidence.Facts){under("t", keySHA), stamped}, policy.UntrustedSigner, "trust.root"},
		{"a root that is in force", []func(*evidence.Facts){under(policy.PublicGood, rootSHA), stamped}, policy.UntrustedSigner, "trust.root"},
		{"no root", []func(*evidence.Facts){under("t", attest.Digest{}), stamped}, policy.UntrustedSigner, "trust.root"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := input(good(1, test.change...))
			in.Roots = others
			d := p.Evaluate(in)
			if d.Files["corp.json"] != pin {
				t.Errorf("files %v do not say which root was read", d.Files)
			}
			if test.code == "" {
				wantPass(t, d)
				return
			}
			wantFail(t, d, test.code, test.path)
		})
	}
}

// A key alone needs no root, and only where that is written. Under a root it
// needs what the root prescribes, but for a time.
func TestTrustOfKeys(t *testing.T) {
	const form = "key: {file: k.pub}"
	alone := func(f *evidence.Facts) { f.Root, f.Logs, f.Times, f.SCT = evidence.TrustRoot{}, nil, nil, false }
	for _, test := range []struct {
		name   string
		text   string
		key    attest.Digest
		change []func(*evidence.Facts)
		code   policy.Code
		path   string
	}{
		{"alone", trustRule("{log: none, timestamps: none}", form), spki(t), []func(*evidence.Facts){alone}, "", ""},
		{"alone, under some root", trustRule("{log: none, timestamps: none}", form), spki(t), []func(*evidence.Facts){under("corp", keySHA)}, "", ""},
		{"another key", trustRule("{log: none, timestamps: none}", form), keySHA, []func(*evidence.Facts){alone}, policy.UntrustedSigner, "signer.key"},
		{"alone is not the default", signerRule(form), spki(t), []func(*evidence.Facts){alone}, policy.UntrustedSigner, "trust.root"},
		{"under the root", signerRule(form), spki(t), nil, "", ""},
		{"under the root, without a time", signerRule(form), spki(t), []func(*evidence.Facts){times(evidence.RFC3161)}, "", ""},
		{"under the root, without a log entry", signerRule(form), spki(t), []func(*evidence.Facts){entries()}, policy.NotLogged, "trust.log"},
		{"under GitHub's root", signerRule(form), spki(t), []func(*evidence.Facts){under(policy.GitHub, keySHA), times(evidence.RFC3161, "a")}, policy.UntrustedSigner, "trust.root"},
		{"under a root without logs", trustRule("{root: public-good}", form), spki(t), []func(*evidence.Facts){under("x", rootSHA), entries()}, policy.NoTime, "trust.timestamps"},
		{"no timestamp", trustRule("{root: public-good, timestamps: 1}", form), spki(t), nil, policy.NoTime, "trust.timestamps"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := policy.Load("policy.yaml", []byte(test.text), files{"k.pub": publicKey})
			if err != nil {
				t.Fatal(err)
			}
			in := input(piece(1, byKey(test.key), nil, append([]func(*evidence.Facts){message}, test.change...)...))
			in.Roots = append(in.Roots, policy.Root{Name: policy.GitHub, Digest: keySHA})
			d := p.Evaluate(in)
			if test.code == "" {
				wantPass(t, d)
				return
			}
			wantFail(t, d, test.code, test.path)
		})
	}
	// A certificate is no key, whatever the key-only trust leaves out.
	p, err := policy.Load("policy.yaml", []byte(trustRule("{log: none, timestamps: none}", form)), files{"k.pub": publicKey})
	if err != nil {
		t.Fatal(err)
	}
	wantFail(t, p.Evaluate(input(good(1))), policy.UntrustedSigner, "signer.form")
}
