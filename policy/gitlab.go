package policy

import (
	"fmt"
	"strings"

	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// decodeGitLab reads a GitLab CI signer. A configuration file is named in
// certificates as https://SERVER/PROJECT//FILE@REF.
func decodeGitLab(l *loader, o *object, s *signer) {
	server := "gitlab.com"
	if host, ok := o.text("server"); ok {
		if why := badHost(host); why != "" {
			l.errorf(o.field("server"), join(o.path, "server"), "%s: want a host such as gitlab.example.com", why)
		}
		server = host
	}
	project, ok := o.required("project")
	if ok && (strings.ContainsAny(project, "*?#@%\\ ") || oddSegment(project) || !strings.Contains(project, "/")) {
		l.errorf(o.field("project"), join(o.path, "project"), "%.128q, want GROUP/PROJECT, exact", project)
	}
	ref, ok := o.pattern("ref")
	if !ok && o.field("ref") == nil {
		l.suggest(o.n, o.path, "ref is missing", "ref: refs/tags/v*")
	}
	if ref.anyRef() {
		s.relax = append(s.relax, "ref: "+ref.String()+" accepts a pipeline of any branch or tag")
		l.warn(o.field("ref"), join(o.path, "ref"), "accepts every ref", "ref: refs/tags/v*")
	}
	s.fields = []field{{name: "server", value: quote(server)}, {name: "project", value: quote(project)}, {name: "ref", value: ref.yaml()}}

	var config pattern
	if text, ok := o.text("config"); ok {
		before, at, found := strings.Cut(text, "@")
		path, file, ok := strings.Cut(before, "//")
		if !found || !ok || at == "" || file == "" || oddSegment(path) || strings.ContainsAny(before, "*?[]{}\\ ") {
			l.errorf(o.field("config"), join(o.path, "config"), "%.128q, want PROJECT//FILE@REF, with wildcards in REF only", text)
		}
		expanded, _ := refPattern(at)
		var err error
		if config, err = compilePattern(expanded); err != nil {
			l.errorf(o.field("config"), join(o.path, "config"), "%v", err)
		}
		s.fields = append(s.fields, field{name: "config", value: quote(before + "@" + config.String())})
		prefix := "https://" + server + "/" + before + "@"
		s.holder = gitlabHolder(server, project, ref, func(c *checklist, uri, _ string) {
			rest, ok := strings.CutPrefix(uri, prefix)
			c.is(ok && config.match(rest), "config", prefix+config.String(), uri)
		})
		return
	}
	s.holder = gitlabHolder(server, project, ref, func(c *checklist, uri, runRef string) {
		rest, ok := strings.CutPrefix(uri, "https://"+server+"/"+project+"//")
		file, at, _ := strings.Cut(rest, "@")
		ok = ok && file != "" && !oddSegment(file) && at == runRef && runRef != ""
		c.is(ok, "config", fmt.Sprintf("a file of %s itself, at the pipeline's own ref", project), uri)
	})
}

func gitlabHolder(server, project string, ref pattern, config func(c *checklist, uri, runRef string)) func(*checklist, *evidence.Certificate) {
	return func(c *checklist, cert *evidence.Certificate) {
		consistent(c, cert)
		c.equal("issuer", "https://"+server, issuerOf(cert))
		c.equal("project", "https://"+server+"/"+project, cert.SourceRepositoryURI)
		c.match("ref", ref, cert.SourceRef)
		c.equal("name", cert.BuildSignerURI, san(cert, "uri"))
		config(c, cert.BuildSignerURI, cert.SourceRef)
		if cert.BuildConfigURI != "" {
			c.equal("config", cert.BuildSignerURI, cert.BuildConfigURI)
		}
	}
}
