package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-dev/hallmark/verify/evidence"
)

const githubIssuer = "https://token.actions.githubusercontent.com"

// githubEvents are the triggers whose ref says where the code came from. Others,
// such as pull_request_target, run with the default branch as ref whatever
// started them, and have to be written.
var githubEvents = []string{"push", "create", "release", "workflow_dispatch", "schedule", "repository_dispatch"}

// A github holds the conditions of one GitHub Actions signer.
type github struct {
	host     string  // such as github.com
	issuer   string  // exact
	owner    string  // exact
	repo     pattern // of the name
	sameRepo bool    // the workflow is a file of the source repository, at the run's own ref
	path     string  // of the workflow; empty means any file, with sameRepo
	callee   string  // HOST/OWNER/REPO of a reusable workflow
	calleeAt pattern // its ref
	ref      pattern
	runner   string // or "any"
	events   []string
	exact    []exactField // optional fields
}

// An exactField is an optional condition on one certificate extension.
type exactField struct {
	name, want string
	got        func(*evidence.Certificate) string
}

func decodeGitHub(l *loader, o *object, s *signer) {
	g := &github{host: "github.com", issuer: githubIssuer}
	if host, ok := o.text("server"); ok {
		g.host = strings.TrimPrefix(host, "https://")
		if why := badHost(g.host); why != "" {
			l.errorf(o.field("server"), join(o.path, "server"), "%s", why)
		}
		switch {
		case g.host == "github.com":
		case strings.HasSuffix(g.host, ".ghe.com"):
			g.issuer = "https://token.actions." + g.host
		default:
			g.issuer = "" // has to be written
		}
	}
	g.issuer = l.issuer(o, g.issuer)
	g.decodeRepo(l, o)
	g.decodeWorkflow(l, o, s)
	if ref, ok := o.pattern("ref"); ok {
		g.ref = ref
		if ref.anyRef() {
			s.relax = append(s.relax, "ref: "+ref.String()+" accepts a run from any branch, tag or pull request")
			l.warn(o.field("ref"), join(o.path, "ref"), "accepts every ref", "ref: refs/tags/v*")
		} else if ref.re == nil && !strings.HasPrefix(ref.exact, "refs/") || ref.glob && !strings.HasPrefix(ref.source, "refs/") && !strings.HasPrefix(ref.source, "*") {
			l.suggest(o.field("ref"), join(o.path, "ref"), fmt.Sprintf("%.64q never matches: a ref begins with refs/", ref.source), "ref: refs/tags/"+ref.source)
		}
	} else if o.field("ref") == nil {
		l.suggest(o.n, o.path, "ref is missing", "ref: refs/tags/v*")
	}
	g.runner = "github-hosted"
	if runner, ok := o.text("runner"); ok {
		if !slices.Contains([]string{"github-hosted", "self-hosted", "any"}, runner) {
			l.errorf(o.field("runner"), join(o.path, "runner"), "%.64q, want github-hosted, self-hosted or any", runner)
		}
		if g.runner = runner; runner != "github-hosted" {
			s.relax = append(s.relax, "runner: "+runner+" accepts machines that are not GitHub's")
		}
	}
	g.events = githubEvents
	if n := o.field("event"); n != nil {
		g.events = l.events(n, join(o.path, "event"))
		for _, e := range g.events {
			if !slices.Contains(githubEvents, e) {
				s.relax = append(s.relax, "event: "+e+" does not prove the ref that it runs with")
			}
		}
	}
	for _, f := range []exactField{
		{"repoID", "", func(c *evidence.Certificate) string { return c.SourceRepositoryID }},
		{"ownerID", "", func(c *evidence.Certificate) string { return c.SourceOwnerID }},
		{"environment", "", func(c *evidence.Certificate) string { return c.DeploymentEnv }},
		{"workflowSHA", "", func(c *evidence.Certificate) string { return c.BuildSignerDigest }},
		{"entry", "", entryPath},
	} {
		value, ok := o.text(f.name)
		if !ok {
			continue
		}
		if strings.HasSuffix(f.name, "ID") && !decimal.MatchString(value) {
			l.errorf(o.field(f.name), join(o.path, f.name), "%.64q, want a decimal number in quotes", value)
		}
		if f.name == "workflowSHA" && !isCommit(value) {
			l.errorf(o.field(f.name), join(o.path, f.name), "%.80q, want a commit of 40 or 64 hexadecimal digits", value)
		}
		f.want = value
		g.exact = append(g.exact, f)
	}
	s.githubCom = g.host == "github.com"
	s.fields = g.explain()
	s.holder = g.check
}

func (g *github) decodeRepo(l *loader, o *object) {
	full, ok := o.required("repo")
	if !ok {
		return
	}
	n, at := o.field("repo"), join(o.path, "repo")
	owner, name, found := strings.Cut(full, "/")
	if !found || name == "" || strings.Contains(name, "/") || strings.ContainsAny(owner, "*?[]{}\\ :@") || owner == "" {
		l.errorf(n, at, "%.128q, want OWNER/NAME with the owner written out", full)
		return
	}
	if name == "*" || name == "**" {
		l.errorf(n, at, "%.128q accepts every repository of %s: name them, or begin the name with something", full, owner)
		return
	}
	p, err := compilePattern(name)
	if err != nil {
		l.errorf(n, at, "%v", err)
		return
	}
	g.owner, g.repo = owner, p
}

func (g *github) decodeWorkflow(l *loader, o *object, s *signer) {
	text, ok := o.text("workflow")
	if !ok {
		g.sameRepo = true
		if o.field("workflow") == nil {
			where := "workflow: .github/workflows/release.yml"
			if strings.HasPrefix(s.name, "from:") {
				where = "a signer of its own, with " + where
			}
			l.warn(o.n, o.path, "no workflow: any workflow file of the repository may sign", where)
		}
		return
	}
	n, at := o.field("workflow"), join(o.path, "workflow")
	if strings.HasPrefix(text, workflowDir[1:]) {
		g.sameRepo, g.path = true, text
		file := text[len(workflowDir)-1:]
		if strings.ContainsAny(file, "/*@?[]{}\\") || !strings.HasSuffix(file, ".yml") && !strings.HasSuffix(file, ".yaml") {
			l.errorf(n, at, "%.128q, want .github/workflows/FILE.yml, exact and without @: it is taken at the run's own ref", text)
		}
		return
	}
	w, err := parseWorkflow("https://" + g.host + "/" + text)
	if err != nil || strings.ContainsAny(w.repo+w.path, "*?[]{}\\") {
		l.errorf(n, at, "%.128q, want .github/workflows/FILE.yml or OWNER/REPO/.github/workflows/FILE.yml@REF, with wildcards in REF only", text)
		return
	}
	g.path, g.callee = w.path, w.repo
	// "*" alone is a ref without a slash: a commit.
	expanded := w.ref
	if w.ref != "*" {
		expanded, _ = refPattern(w.ref)
	}
	if g.calleeAt, err = compilePattern(expanded); err != nil {
		l.errorf(n, at, "%v", err)
	}
	switch {
	case g.calleeAt.anyRef():
		s.relax = append(s.relax, "workflow: @"+w.ref+" accepts any version of "+w.path)
		l.warn(n, at, "accepts every version of the workflow", "workflow: "+strings.TrimSuffix(text, w.ref)+"v*")
	case g.calleeAt.anyCommit():
		s.relax = append(s.relax, "workflow: @"+w.ref+" accepts any commit in "+w.repo)
		l.warn(n, at, "accepts every commit, those of nobody's branch included", "workflow: "+strings.TrimSuffix(text, w.ref)+"v*")
	}
	if w.ref == "main" || w.ref == "master" {
		l.warn(n, at, "@"+w.ref+" is a tag of that name; did you mean the branch?", "workflow: "+strings.TrimSuffix(text, w.ref)+"refs/heads/"+w.ref)
	}
}

func (l *loader) events(n *node, at string) []string {
	nodes := []*node{n}
	if n.kind == listNode {
		nodes = n.items
	}
	if len(nodes) == 0 {
		l.errorf(n, at, "empty list: it would match nothing")
	}
	var out []string
	for _, item := range nodes {
		if e, ok := l.text(item, at); ok {
			if strings.Trim(e, "abcdefghijklmnopqrstuvwxyz_") != "" {
				l.errorf(item, at, "%.64q, want the name of an event such as push", e)
			}
			out = append(out, e)
		}
	}
	return out
}

// entryPath is the path of the workflow file that was started, from .18.
func entryPath(c *evidence.Certificate) string {
	w, err := parseWorkflow(c.BuildConfigURI)
	if err != nil {
		return ""
	}
	return w.path
}

// check compares a certificate. One with any of .8 to .24 is read by those;
// an older one by .1 to .6 and its name, and then says nothing of the runner.
func (g *github) check(c *checklist, cert *evidence.Certificate) {
	consistent(c, cert)
	c.equal("issuer", g.issuer, issuerOf(cert))
	name := san(cert, "uri")
	repoURI, ref, event, signerURI := cert.SourceRepositoryURI, cert.SourceRef, cert.BuildTrigger, cert.BuildSignerURI
	if cert.HasModern() {
		same := name == signerURI && name != ""
		c.is(same, "name", "the build signer URI "+clip(signerURI), explain(signerURI, name, same))
	} else {
		repoURI = "https://" + g.host + "/" + cert.Legacy.Repository
		ref, event, signerURI = cert.Legacy.Ref, cert.Legacy.Trigger, name
	}

	repo, _, err := repositoryURI(repoURI, false)
	if err != nil || strings.Count(repo, "/") != 2 || strings.HasSuffix(repoURI, ".git") || strings.Contains(repoURI, "@") {
		repo = ""
	}
	prefix := g.host + "/" + g.owner + "/"
	base, inside := strings.CutPrefix(repo, prefix)
	want := g.owner + "/" + g.repo.String()
	c.is(inside && g.repo.match(base), "repo", want, explain(want, strings.TrimPrefix(repo, g.host+"/"), inside && g.repo.match(base)))
	c.match("ref", g.ref, ref)
	g.checkWorkflow(c, signerURI, repo, ref)
	if g.runner != "any" {
		c.equal("runner", g.runner, cert.RunnerEnvironment)
	}
	c.oneOf("event", g.events, event)
	for _, f := range g.exact {
		c.equal(f.name, f.want, f.got(cert))
	}
}

func (g *github) checkWorkflow(c *checklist, signerURI, repo, ref string) {
	w, err := parseWorkflow(signerURI)
	if err != nil {
		c.fail("workflow", g.describeWorkflow(), signerURI)
		return
	}
	if g.sameRepo {
		ok := w.repo == repo && repo != "" && w.ref == ref && ref != "" && (g.path == "" || w.path == g.path)
		c.is(ok, "workflow", g.describeWorkflow(), w.repo+"/"+w.path+"@"+w.ref)
		return
	}
	c.equal("workflow", g.callee+"/"+g.path, w.repo+"/"+w.path)
	c.match("workflow ref", g.calleeAt, w.ref)
}

func (g *github) describeWorkflow() string {
	switch {
	case !g.sameRepo:
		return g.callee + "/" + g.path + "@" + g.calleeAt.String()
	case g.path == "":
		return "a workflow of the source repository itself, at the run's own ref"
	}
	return g.path + " of the source repository itself, at the run's own ref"
}

func (g *github) explain() []field {
	fields := []field{
		{name: "server", value: quote(g.host)},
		{name: "issuer", value: quote(g.issuer)},
		{name: "repo", value: quote(g.owner + "/" + g.repo.String())},
	}
	switch {
	case !g.sameRepo:
		fields = append(fields, field{name: "workflow", value: quote(strings.TrimPrefix(g.callee, g.host+"/") + "/" + g.path + "@" + g.calleeAt.String())})
	case g.path != "":
		fields = append(fields, field{name: "workflow", value: quote(g.path)})
	default:
		fields = append(fields, field{name: "workflow", value: "any file of the repository itself, at the run's own ref", remark: true})
	}
	fields = append(fields, field{name: "ref", value: g.ref.yaml()}, field{name: "runner", value: quote(g.runner)},
		field{name: "event", value: quoteList(g.events)})
	for _, f := range g.exact {
		fields = append(fields, field{name: f.name, value: quote(f.want)})
	}
	return fields
}
