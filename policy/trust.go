package policy

import (
	"fmt"
	"strings"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// Names of trust roots that a caller supplies through [Input.Roots].
const (
	// PublicGood is the Sigstore public-good instance.
	PublicGood = "public-good"
	// GitHub is GitHub's instance for private repositories: a certificate
	// authority and a timestamp authority, no log.
	GitHub = "github"
	// Given is a root that the caller chose in place of the well-known ones, as
	// --trusted-root does. Signers without trust accept it.
	Given = "given"
)

// A trust is one entry of the policy's trust: a root, and how much of it is
// required. What the root contains is the least.
type trust struct {
	name  string
	roots []string      // names in Input.Roots, any of them; none: keys alone
	file  string        // a root in a file
	pin   attest.Digest // of that file

	log, timestamps, sct demand
}

// A demand is how many distinct logs or authorities: what the root prescribes
// when count is 0, none at all when waived.
type demand struct {
	count  int
	waived bool
}

func (d demand) String() string {
	switch {
	case d.waived:
		return "none"
	case d.count == 0:
		return "as the root prescribes"
	}
	return fmt.Sprint(d.count)
}

// key reports whether only keys can be trusted this way.
func (t *trust) key() bool { return len(t.roots) == 0 && t.pin.IsZero() }

// defaultTrust is what a signer without trust gets.
func defaultTrust(s *signer) *trust {
	t := &trust{name: defaultTrustName, roots: []string{PublicGood, Given}}
	if s.githubCom {
		t.roots = []string{PublicGood, GitHub, Given}
	}
	return t
}

const defaultTrustName = "default"

func (l *loader) trust(name string, n *node) *trust {
	at := "trust." + name
	o := l.object(n, at)
	t := &trust{name: name}
	if name == defaultTrustName {
		l.errorf(n, at, "the name is taken: it is what signers without trust have")
	}
	switch r := o.field("root"); {
	case r == nil:
	case r.kind == mapNode:
		inner := l.object(r, at+".root")
		file, ok := inner.required("file")
		sum, ok2 := inner.required("sha256")
		inner.done()
		if !ok || !ok2 {
			break
		}
		pin, err := attest.ParseDigest("sha256:" + sum)
		if err != nil {
			l.errorf(inner.field("sha256"), at+".root.sha256", "%v", err)
			break
		}
		t.file, t.pin = file, pin
		data, ok := l.readFile(inner.field("file"), at+".root.file", file, maxRootFile)
		if ok && digestOf(data) != pin {
			l.errorf(inner.field("sha256"), at+".root.sha256", "%s is %s, want %s", file, digestOf(data), pin)
		}
		l.policy.roots = append(l.policy.roots, RootFile{Trust: name, File: file, Digest: pin, Data: data})
	default:
		switch text, _ := o.text("root"); text {
		case PublicGood, GitHub:
			t.roots = []string{text}
		case "":
		default:
			l.errorf(r, at+".root", "%.64q, want public-good, github or {file, sha256}", text)
		}
	}
	t.log = l.demand(o, "log")
	t.timestamps = l.demand(o, "timestamps")
	t.sct = l.demand(o, "sct")
	if t.sct.count > 1 {
		l.errorf(o.field("sct"), at+".sct", "more than one is not yet supported in this version")
	}
	o.done()
	switch {
	case t.key() && o.field("root") != nil: // was reported
	case t.key() && (!t.log.waived || !t.timestamps.waived || t.sct.count > 0):
		l.suggest(n, at, "no root, so there is nothing to check a log or a timestamp with", "{log: none, timestamps: none}")
	case !t.key() && t.log.waived && t.timestamps.waived:
		l.errorf(n, at, "log: none and timestamps: none leave a certificate without any verified time")
	}
	for _, w := range t.relaxations() {
		l.warn(n, at, w, "")
	}
	return t
}

// maxRootFile limits a trusted_root.json that a policy names, in bytes.
const maxRootFile = 4 << 20

func (l *loader) demand(o *object, name string) demand {
	n := o.field(name)
	if n == nil {
		return demand{}
	}
	if n.kind == scalarNode && n.text == "none" {
		return demand{waived: true}
	}
	count, _ := l.integer(n, join(o.path, name), 1)
	return demand{count: count}
}

func (t *trust) relaxations() []string {
	var out []string
	for _, d := range []struct {
		name string
		demand
	}{{"log", t.log}, {"timestamps", t.timestamps}, {"sct", t.sct}} {
		if d.waived {
			out = append(out, d.name+": none under trust "+t.name)
		}
	}
	return out
}

// check compares what was verified with what this trust demands.
func (t *trust) check(c *checklist, e evidence.Evidence, in *Input) {
	root := e.Root()
	if !t.key() {
		ok := !root.Digest.IsZero() && root.Digest == t.pin
		for _, r := range in.Roots {
			for _, name := range t.roots {
				ok = ok || r.Name == name && r.Digest == root.Digest && !root.Digest.IsZero()
			}
		}
		want := strings.Join(t.roots, " or ")
		if !t.pin.IsZero() {
			want = t.file + " (" + t.pin.String() + ")"
		}
		c.is(ok, "root", want, root.Name+" ("+root.Digest.String()+")")
	}
	t.checkCounts(c, e)
}

func (t *trust) checkCounts(c *checklist, e evidence.Evidence) {
	root, certificate := e.Root(), e.Signer().Certificate != nil
	logs := make(map[string]bool)
	for _, entry := range e.Logs() {
		logs[entry.LogID] = true
	}
	authorities := make(map[string]bool)
	times := e.Times()
	for _, at := range times {
		if at.Kind == evidence.RFC3161 {
			authorities[at.Authority] = true
		}
	}

	need := t.log.count
	if need == 0 && !t.log.waived && (root.HasLogs || t.key()) {
		need = 1
	}
	code := c.code
	c.code = NotLogged
	c.is(len(logs) >= need, "log", fmt.Sprintf("%d distinct logs", need), fmt.Sprint(len(logs)))

	c.code = NoTime
	c.is(len(authorities) >= t.timestamps.count, "timestamps", fmt.Sprintf("%d distinct timestamp authorities", t.timestamps.count), fmt.Sprint(len(authorities)))
	if certificate {
		c.is(len(times) > 0, "time", "a verified signing time", fmt.Sprintf("%d", len(times)))
	}
	if !t.key() && !root.HasLogs && !t.timestamps.waived {
		c.is(len(authorities) > 0, "timestamps", "a timestamp, as the root has no log", fmt.Sprint(len(authorities)))
	}
	c.code = UntrustedSigner
	if certificate && (root.HasCT || t.sct.count > 0) && !t.sct.waived {
		c.is(e.SCT(), "sct", "a certificate timestamp of a trusted log", "none")
	}
	c.code = code
}

func decodeKey(l *loader, o *object, s *signer) {
	at := o.path
	o.later("kms", "npm")
	var data []byte
	var source field
	switch file, pem := o.field("file"), o.field("pem"); {
	case file != nil && pem != nil, file == nil && pem == nil:
		l.errorf(o.n, at, "want exactly one of file and pem")
	case file != nil:
		name, ok := o.text("file")
		if !ok {
			return
		}
		source = field{name: "file", value: quote(name)}
		if data, ok = l.readFile(file, at+".file", name, maxText); !ok {
			return
		}
	default:
		// A PEM block has line feeds, which other texts may not have.
		if pem.kind != scalarNode {
			l.errorf(pem, at+".pem", "%s, want text", pem.kind)
			return
		}
		data = []byte(pem.text)
	}
	if data == nil {
		return
	}
	spki, err := publicKeyDigest(data)
	if err != nil {
		l.errorf(o.n, at, "%v", err)
		return
	}
	if want, ok := o.text("spki"); ok && want != spki.String() {
		l.errorf(o.field("spki"), at+".spki", "the key is %s, want %.96s", spki, want)
	}
	if source.name == "" {
		source = field{name: "pem", value: "|\n" + strings.TrimSpace(string(data))}
	}
	s.key, s.pem = spki, string(data)
	s.fields = []field{source, {name: "spki", value: quote(spki.String())}}
}
