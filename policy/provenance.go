package policy

import (
	"fmt"
	"strings"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// A provenance rule: how, by whom and from what the artifact was built. The
// predicate is compared with the policy and, whether the policy asks or not,
// with the certificate that signed it: a workflow may speak only for itself.
type provenance struct {
	by          *signer
	builder     *pattern // nil: what the build type ties to the signer
	buildType   string   // empty: any that the catalogue knows
	subjectName *pattern
	source      sourceWant
	parameters  *parameters // nil: only what is bound to the source
}

// A sourceWant is what a policy wants of the source. Absent parts are nil or
// empty; the predicate and the certificate must agree all the same.
type sourceWant struct {
	repo   string
	ref    *pattern
	branch *pattern
	tag    *tagRange
	commit string
	at     *dependencyAt
}

// A dependencyAt says which resolved dependency is the source, for build types
// that the catalogue does not know: by name or by URI pattern, exactly one.
type dependencyAt struct {
	source string
	name   string
	uri    *pattern
}

func decodeProvenance(l *loader, o *object, r *rule) judge {
	p := &provenance{}
	o.later("dependencies", "level")
	if o.field("from") != nil {
		p.decodeFrom(l, o, r)
	} else {
		l.by(o, r)
	}
	p.by = r.signer
	if b, ok := o.pattern("builder"); ok {
		p.builder = &b
		r.fields = append(r.fields, field{name: "builder", value: b.yaml()})
		if b.matches("https://a.example/b", "https://c.example/d/e@f") {
			r.relax = append(r.relax, "builder: "+b.String()+" accepts any builder.id")
		}
	} else if o.field("builder") == nil {
		r.fields = append(r.fields, field{name: "builder", value: "the one that the build type ties to the signer", remark: true})
	}
	if t, ok := o.text("buildType"); ok {
		p.buildType = t
		r.fields = append(r.fields, field{name: "buildType", value: quote(t)})
	}
	if n, ok := o.pattern("subjectName"); ok {
		p.subjectName = &n
		r.fields = append(r.fields, field{name: "subjectName", value: n.yaml()})
	}
	p.decodeSource(l, o, r)
	if n := o.field("parameters"); n != nil {
		p.parameters = l.parameters(n, join(o.path, "parameters"))
		r.fields = append(r.fields, p.parameters.explain())
		if p.parameters.everything {
			r.relax = append(r.relax, "parameters: any accepts whatever the build was told")
		}
	} else {
		r.fields = append(r.fields, field{name: "parameters", value: "only those bound to the source; any other fails", remark: true})
	}
	p.checkBuildType(l, o)
	return func(v *view) RuleResult { return v.any(p.wants, p.check) }
}

// decodeFrom expands from: HOST/OWNER/REPO@REF into a signer and a source.
func (p *provenance) decodeFrom(l *loader, o *object, r *rule) {
	n, at := o.field("from"), join(o.path, "from")
	text, ok := o.text("from")
	if !ok {
		return
	}
	if by := o.field("by"); by != nil {
		l.errorf(by, join(o.path, "by"), "from names the signer already: write one of the two")
		return
	}
	repo, ref, _ := strings.Cut(text, "@")
	owner, isGitHub := strings.CutPrefix(repo, "github.com/")
	if err := policyRepo(repo); err != nil || !isGitHub || strings.Count(owner, "/") != 1 {
		l.errorf(n, at, "%.128q, want github.com/OWNER/REPO@REF; other signers are written under signers", text)
		return
	}
	if ref == "" {
		l.suggest(n, at, fmt.Sprintf("%.128q names no ref: which tag or branch may it be built from?", text), "from: "+repo+"@v*")
		return
	}
	if ref == "main" || ref == "master" {
		l.warn(n, at, "@"+ref+" is a tag of that name; did you mean the branch?", "from: "+repo+"@refs/heads/"+ref)
	}
	expanded, commit := refPattern(ref)
	p.source.repo = repo
	inner := &node{kind: mapNode, line: n.line, col: n.col, members: []member{
		{&node{text: "repo"}, &node{text: owner, line: n.line, col: n.col}},
		{&node{text: "ref"}, &node{text: expanded, line: n.line, col: n.col}},
	}}
	if commit {
		p.source.commit = expanded
		inner.members[1].value.text = "**"
	} else if want, ok := l.pattern(inner.members[1].value, at, nil); ok {
		p.source.ref = &want
	} else {
		return
	}
	s := &signer{name: "from:" + text, form: "github"}
	decodeGitHub(l, l.object(inner, at), s)
	s.trust = defaultTrust(s)
	if r.signer = l.sameSigner(s); r.signer == nil {
		l.policy.signers[s.name] = s
		l.policy.signerOrder = append(l.policy.signerOrder, s.name)
		r.signer = s
	}
	r.by = r.signer.name
}

// sameSigner returns the signer that the policy has already and that accepts
// just what s does, so that one principal does not become two.
func (l *loader) sameSigner(s *signer) *signer {
	for _, other := range l.policy.signers {
		if other.form == s.form && other.trust.name == s.trust.name && other.from.IsZero() && other.until.IsZero() &&
			len(other.fields) > 0 && fmt.Sprint(other.fields) == fmt.Sprint(s.fields) {
			return other
		}
	}
	return nil
}

func (p *provenance) decodeSource(l *loader, o *object, r *rule) {
	n := o.field("source")
	if n == nil {
		if p.source.repo != "" { // from
			r.fields = append(r.fields, p.source.explain())
		}
		return
	}
	at := join(o.path, "source")
	s := l.object(n, at)
	if repo, ok := s.text("repo"); ok {
		if err := policyRepo(repo); err != nil {
			l.errorf(s.field("repo"), at+".repo", "%v", err)
		}
		if p.source.repo != "" && p.source.repo != repo {
			l.errorf(s.field("repo"), at+".repo", "%s, and from says %s", repo, p.source.repo)
		}
		p.source.repo = repo
	}
	var refs []string
	if ref, ok := s.pattern("ref"); ok {
		p.source.ref = &ref
		refs = append(refs, "ref")
	}
	if branch, ok := s.pattern("branch"); ok {
		p.source.branch = &branch
		refs = append(refs, "branch")
	}
	if tag, ok := s.text("tag"); ok {
		rng, err := parseRange(tag)
		if err != nil {
			l.errorf(s.field("tag"), at+".tag", "%v", err)
		}
		p.source.tag = &rng
		refs = append(refs, "tag")
	}
	if prefix, ok := s.text("tagPrefix"); ok {
		if p.source.tag == nil {
			l.errorf(s.field("tagPrefix"), at+".tagPrefix", "without tag it means nothing")
		} else {
			p.source.tag.prefix = prefix
		}
	}
	if len(refs) > 1 {
		l.errorf(n, at, "%s: want at most one of ref, branch and tag", strings.Join(refs, " and "))
	}
	if commit, ok := s.text("commit"); ok {
		if !isCommit(commit) {
			l.errorf(s.field("commit"), at+".commit", "%.80q, want 40 or 64 lower-case hexadecimal digits", commit)
		}
		p.source.commit = commit
	}
	if where, ok := s.text("at"); ok {
		p.source.at = l.dependencyAt(s.field("at"), at+".at", where)
	}
	s.done()
	if len(s.n.members) == 0 {
		l.errorf(n, at, "empty: it would ask for nothing")
	}
	r.fields = append(r.fields, p.source.explain())
}

func (l *loader) dependencyAt(n *node, at, text string) *dependencyAt {
	inner, ok := strings.CutPrefix(text, "resolvedDependencies[")
	inner, ok2 := strings.CutSuffix(inner, "]")
	if !ok || !ok2 || inner == "" {
		l.errorf(n, at, "%.128q, want resolvedDependencies[NAME] or resolvedDependencies[URI-PATTERN]", text)
		return nil
	}
	d := &dependencyAt{source: text}
	if !strings.Contains(inner, "://") {
		d.name = inner
		return d
	}
	uri, err := compilePattern(inner)
	if err != nil {
		l.errorf(n, at, "%v", err)
		return nil
	}
	d.uri = &uri
	return d
}

func (s sourceWant) explain() field {
	f := field{name: "source"}
	add := func(name, value string) {
		f.nested = append(f.nested, field{name: name, value: value})
	}
	if s.repo != "" {
		add("repo", quote(s.repo))
	}
	if s.ref != nil {
		add("ref", s.ref.yaml())
	}
	if s.branch != nil {
		add("branch", s.branch.yaml())
	}
	if s.tag != nil {
		add("tag", quote(s.tag.source))
	}
	if s.tag != nil && s.tag.prefix != "" {
		add("tagPrefix", quote(s.tag.prefix))
	}
	if s.commit != "" {
		add("commit", quote(s.commit))
	}
	if s.at != nil {
		add("at", quote(s.at.source))
	}
	return f
}

// checkBuildType refuses at load what could never hold, or would hold without
// being checked.
func (p *provenance) checkBuildType(l *loader, o *object) {
	if p.by != nil && p.by.form == "key" && p.builder == nil {
		l.suggest(o.n, o.path, "builder is missing: a key says nothing about who built, so it has to be written", "builder: https://…")
	}
	if p.buildType == "" {
		return
	}
	t := catalogued(p.buildType)
	n := o.field("buildType")
	if p.builder == nil && (t == nil || t.builder == nil) {
		l.suggest(n, join(o.path, "buildType"), "this build type ties no builder.id to its signer, so builder has to be written", "builder: https://…")
	}
	if p.parameters == nil && (t == nil || !t.bound) {
		l.suggest(n, join(o.path, "buildType"), "parameters is missing: for this build type none are known to be bound to the source", "parameters: any")
	}
	needsAt := t == nil || t.locate == nil
	wantsSource := p.source.repo != "" || p.source.ref != nil || p.source.branch != nil || p.source.tag != nil || p.source.commit != ""
	// A CI's certificate names the source, which the predicate has to agree with.
	certified := p.by != nil && (p.by.form == "github" || p.by.form == "gitlab")
	if needsAt && (wantsSource || certified) && p.source.at == nil {
		l.suggest(n, join(o.path, "source"), "at is missing: nothing says where this build type names its source", "at: resolvedDependencies[git+https://**]")
	}
	if !needsAt && p.source.at != nil {
		l.errorf(n, join(o.path, "source.at"), "this build type has its own place for the source")
	}
}

func (p *provenance) wants(e evidence.Evidence) bool {
	st := e.Statement()
	return st != nil && isProvenance(st.PredicateType())
}

// check compares one candidate's predicate with the policy and with its own
// certificate.
func (p *provenance) check(c *checklist, it *item) {
	if p.subjectName != nil {
		p.checkSubject(c, it)
	}
	claims, err := it.claims.get(it.e.Statement())
	if err != nil {
		code := c.code
		c.code = Malformed
		c.fail("predicate", "SLSA provenance", err.Error())
		c.code = code
		return
	}
	cert := it.e.Signer().Certificate
	t := catalogued(claims.buildType)
	if p.buildType != "" {
		c.equal("buildType", p.buildType, claims.buildType)
	} else if t == nil && p.builder == nil {
		c.fail("buildType", "one that the catalogue knows, or buildType and builder written", claims.buildType)
	}
	p.checkBuilder(c, claims, t, cert)

	src, err := claims.locate(t, p.source.at, cert)
	if err != nil {
		c.fail("source", "a source where this build type names it", err.Error())
	} else {
		p.checkSource(c, src, cert)
	}
	p.checkParameters(c, claims, t, cert)
}

func (p *provenance) checkSubject(c *checklist, it *item) {
	var names []string
	for _, s := range it.e.Statement().Subjects() {
		if s.Digest.Compare(it.digests) == attest.Equal {
			if p.subjectName.match(s.Name) {
				c.is(true, "subjectName", p.subjectName.String(), s.Name)
				return
			}
			names = append(names, s.Name)
		}
	}
	c.fail("subjectName", p.subjectName.String(), strings.Join(names, ", "))
}

func (p *provenance) checkBuilder(c *checklist, claims *claims, t *buildType, cert *evidence.Certificate) {
	if p.builder != nil {
		c.match("builder", *p.builder, claims.builderID)
		return
	}
	if t == nil || t.builder == nil || cert == nil {
		c.fail("builder", "builder to be written in the policy, as this build type and signer tie none", claims.builderID)
		return
	}
	c.oneOf("builder", t.builder(cert), claims.builderID)
}

// checkSource compares predicate, certificate and policy, each with the others.
func (p *provenance) checkSource(c *checklist, src source, cert *evidence.Certificate) {
	repo, ref, commit := certificateSource(cert)
	if !src.named {
		if repo != "" || commit != "" {
			c.fail("source", "source.at to be written in the policy, as this build type names no source to compare with the certificate's", "nothing")
		} else if w := p.source; w.repo != "" || w.ref != nil || w.branch != nil || w.tag != nil || w.commit != "" {
			c.fail("source", "a source", "nothing that names one: write source.at")
		}
		return
	}
	if repo != "" {
		c.equal("source.repo as the certificate has it", repo, src.repo)
	}
	if src.ref == "" && src.refOptional {
		src.ref = ref
	} else if ref != "" {
		c.equal("source.ref as the certificate has it", ref, src.ref)
	}
	if commit != "" {
		c.equal("source.commit as the certificate has it", commit, src.commit)
	}
	if entry := certificateEntry(cert); entry != "" && src.hasEntry {
		c.equal("source.entry as the certificate has it", entry, src.entry)
	}
	w := p.source
	if w.repo != "" {
		c.equal("source.repo", w.repo, src.repo)
	}
	if w.ref != nil {
		c.match("source.ref", *w.ref, src.ref)
	}
	if w.branch != nil {
		name, ok := strings.CutPrefix(src.ref, "refs/heads/")
		got := src.ref
		if event, known := githubEvent(cert); known && !contains(githubEvents, event) {
			ok, got = false, got+" in an event that does not prove it: "+event
		}
		c.is(ok && w.branch.match(name), "source.branch", w.branch.String(), got)
	}
	if w.tag != nil {
		got := src.ref
		err := w.tag.match(src.ref)
		if err != nil {
			got = err.Error()
		}
		c.is(err == nil, "source.tag", w.tag.source, got)
	}
	if w.commit != "" {
		c.equal("source.commit", w.commit, src.commit)
	}
}

// githubEvent is what started a run of GitHub Actions, whichever issuer and
// however old its certificate; known is false for everything else.
func githubEvent(cert *evidence.Certificate) (event string, known bool) {
	if cert == nil {
		return "", false
	}
	for _, uri := range append(signerURI(cert), san(cert, "uri")) {
		known = known || strings.Contains(uri, workflowDir)
	}
	if cert.BuildTrigger != "" {
		return cert.BuildTrigger, known
	}
	return cert.Legacy.Trigger, known
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (p *provenance) checkParameters(c *checklist, claims *claims, t *buildType, cert *evidence.Certificate) {
	if p.parameters != nil {
		p.parameters.check(c, claims.parameters(t))
		return
	}
	if t == nil || !t.bound || cert == nil {
		c.fail("parameters", "parameters to be written in the policy, as none are known to be bound to the source", "not written")
		return
	}
	claims.checkBound(c, t, cert)
}
