package policy

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/key"
)

// Limits on a policy.
const (
	MaxPolicyBytes = 1 << 20 // bytes of the file
	MaxSigners     = 500
	MaxRules       = 500
	maxPolicyDepth = 24
	maxName        = 128 // bytes of a name of a signer, rule or trust
)

// A Policy is a loaded policy file. It is immutable and safe for concurrent
// use. The zero Policy decides nothing: its decisions are errors.
type Policy struct {
	name    string
	version int
	expires time.Time
	digest  attest.Digest
	raw     []byte

	trust       map[string]*trust
	signers     map[string]*signer
	signerOrder []string
	artifacts   []pattern // names of files in scope; nil means the caller chose
	rules       []*rule
	roots       []RootFile
	files       map[string]attest.Digest // what was read at load
	warnings    []Problem
}

// A RootFile is a trusted_root.json that a policy names by digest.
type RootFile struct {
	Trust  string // name of the trust entry
	File   string // as the policy names it
	Digest attest.Digest
	Data   []byte
}

type loader struct {
	decoder
	policy *Policy
	files  fs.FS
}

// Load reads and compiles a policy. The name stands in messages. Files that
// the policy names (keys, trust roots) are read through files, once, and pinned:
// what changes on disk afterwards changes nothing; nil means that there are
// none. The error is a [*LoadError] with every problem that was found; a policy
// with any error is not loaded at all.
func Load(name string, data []byte, files fs.FS) (*Policy, error) {
	p, problems := load(name, data, files)
	var errs []Problem
	for _, pr := range problems {
		if pr.Severity == SeverityError {
			errs = append(errs, pr)
		}
	}
	if len(errs) > 0 {
		return nil, &LoadError{errs}
	}
	return p, nil
}

// Lint reports every error and every warning of a policy file, in the order of
// its lines. A file that Load accepts has warnings only.
func Lint(name string, data []byte, files fs.FS) []Problem {
	_, problems := load(name, data, files)
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Line - b.Line })
	return problems
}

func load(name string, data []byte, files fs.FS) (*Policy, []Problem) {
	l := &loader{
		decoder: decoder{file: name},
		files:   files,
		policy: &Policy{digest: digestOf(data), raw: slices.Clone(data), trust: make(map[string]*trust),
			signers: make(map[string]*signer), files: make(map[string]attest.Digest)},
	}
	n, err := parseNodes(data)
	if err != nil {
		p, ok := err.(*Problem)
		if !ok {
			p = &Problem{Line: 1, Column: 1, Message: err.Error()}
		}
		p.File = name
		return nil, []Problem{*p}
	}
	l.top(n)
	for _, p := range l.problems {
		if p.Severity == SeverityWarning {
			l.policy.warnings = append(l.policy.warnings, p)
		}
	}
	return l.policy, l.problems
}

func digestOf(data []byte) attest.Digest {
	sum := sha256.Sum256(data)
	d, err := attest.NewDigest(attest.SHA256, sum[:])
	if err != nil {
		panic("policy: SHA-256 of wrong length") // cannot be
	}
	return d
}

func (l *loader) top(n *node) {
	o := l.object(n, "")
	p := l.policy
	switch v := o.field("policy"); {
	case v == nil:
		l.suggest(n, "", "policy is missing: the version of the language", "policy: v1")
	case v.kind != scalarNode:
		l.suggest(v, "policy", v.kind.String()+", want v1", "policy: v1")
	case v.text != "v1":
		l.suggest(v, "policy", fmt.Sprintf("%.64q, want v1", v.text), "policy: v1")
	}
	p.name, _ = o.text("name")
	p.version, _ = o.integer("version", 1)
	p.expires, _ = o.date("expires")
	if o.field("expires") == nil {
		l.warn(n, "", "no expires: an old copy of this policy holds for ever", "expires: "+l.year())
	}
	l.artifacts(o)
	for _, m := range l.named(o, "trust") {
		p.trust[m.key.text] = l.trust(m.key.text, m.value)
	}
	for _, m := range l.named(o, "signers") {
		p.signers[m.key.text] = l.signer(m.key.text, m.value)
		p.signerOrder = append(p.signerOrder, m.key.text)
	}
	if len(p.signers) > MaxSigners {
		l.errorf(o.field("signers"), "signers", "%d signers, want at most %d", len(p.signers), MaxSigners)
	}
	l.samePrincipal(o)
	l.require(o)
	l.unusedSigners(o)
	o.later("params", "builders", "exceptions", "extends", "mode", "waivable")
	o.done()
}

// year is an example date for suggestions. It does not depend on the clock.
func (l *loader) year() string { return "2027-12-31T00:00:00Z" }

// named opens a map whose names the policy chooses.
func (l *loader) named(o *object, field string) []member {
	n := o.field(field)
	if n == nil {
		return nil
	}
	if n.kind != mapNode {
		l.errorf(n, field, "%s, want a map of names", n.kind)
		return nil
	}
	if len(n.members) == 0 {
		l.errorf(n, field, "empty map")
	}
	for _, m := range n.members {
		if !validName(m.key.text) {
			l.errorf(m.key, field, "name %.64q, want letters, digits, - and _, beginning with a letter", m.key.text)
		}
	}
	return n.members
}

func validName(s string) bool {
	if s == "" || len(s) > maxName || !(s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z') {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

func (l *loader) artifacts(o *object) {
	n := o.field("artifacts")
	if n == nil {
		return
	}
	a := l.object(n, "artifacts")
	items := a.list("files")
	for i, item := range items {
		if p, ok := l.pattern(item, fmt.Sprintf("artifacts.files[%d]", i), nil); ok {
			l.policy.artifacts = append(l.policy.artifacts, p)
		}
	}
	a.later("images", "packages", "platforms")
	if len(items) == 0 {
		l.errorf(n, "artifacts", "names no artifacts")
	}
	a.done()
}

// samePrincipal refuses two signers that certainly are one: a key twice, or two
// entries with identical fields.
func (l *loader) samePrincipal(o *object) {
	seen := make(map[string]string)
	for _, name := range l.policy.signerOrder {
		s := l.policy.signers[name]
		id := s.key.String()
		if s.key.IsZero() {
			if len(s.fields) == 0 {
				continue // was reported
			}
			id = fmt.Sprint(s.form, s.fields)
		}
		if other, ok := seen[id]; ok {
			l.errorf(o.field("signers"), "signers."+name, "the same signer as %s: one person may not be two", other)
		}
		seen[id] = name
	}
}

func (l *loader) unusedSigners(o *object) {
	used := make(map[string]bool)
	for _, r := range l.policy.rules {
		used[r.by] = true
	}
	if n := o.field("signers"); n != nil {
		for _, m := range n.members {
			if !used[m.key.text] {
				l.warn(m.key, "signers."+m.key.text, "no rule uses this signer", "")
			}
		}
	}
}

func readLimited(r io.Reader, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > limit {
		return nil, fmt.Errorf("more than %d bytes", limit)
	}
	return data, nil
}

func publicKeyDigest(pem []byte) (attest.Digest, error) {
	pub, err := key.ParsePublic(pem)
	if err != nil {
		return attest.Digest{}, err
	}
	return pub.Fingerprint(), nil
}

// Name is the policy's own name, or empty.
func (p *Policy) Name() string { return p.name }

// Version is the policy's own version, or 0 if it has none.
func (p *Policy) Version() int { return p.version }

// Digest is the SHA-256 of the policy file. Files that it names are listed by
// [Policy.Files].
func (p *Policy) Digest() attest.Digest { return p.digest }

// Files returns the digests of the files that were read at load, by name.
func (p *Policy) Files() map[string]attest.Digest { return maps.Clone(p.files) }

// Warnings returns what [Lint] would warn of.
func (p *Policy) Warnings() []Problem { return slices.Clone(p.warnings) }

// A Verification is what a caller has to verify with, so that no rule lacks
// evidence that it could have had. It says how much to look at, and never what
// to accept: evidence that a signer's trust does not allow counts for nothing,
// however it was verified.
type Verification struct {
	Roots     []string   // names of roots that signers accept, sorted: PublicGood, GitHub, Given
	Files     []RootFile // roots that the policy brings along
	Keys      []string   // public keys of signers, PEM
	KeysAlone bool       // some key counts without any root
	NoLog     bool       // some signer does not need the log that its root prescribes
}

// Verification says what to verify evidence with.
func (p *Policy) Verification() Verification {
	v := Verification{Files: slices.Clone(p.roots)}
	for _, name := range p.signerOrder {
		s := p.signers[name]
		v.Roots = append(v.Roots, s.trust.roots...)
		v.KeysAlone = v.KeysAlone || s.trust.key()
		v.NoLog = v.NoLog || s.trust.log.waived && !s.trust.key()
		if s.pem != "" && !slices.Contains(v.Keys, s.pem) {
			v.Keys = append(v.Keys, s.pem)
		}
	}
	slices.Sort(v.Roots)
	v.Roots = slices.Compact(v.Roots)
	return v
}
