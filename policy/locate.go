package policy

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/internal/strictjson"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// fromURI reads a source from a git URI and a digest set.
func fromURI(uri string, digests attest.DigestSet, buildkit bool) (source, error) {
	repo, ref, err := repositoryURI(uri, buildkit)
	if err != nil {
		return source{}, err
	}
	commit, err := commitOf(digests)
	if err != nil {
		return source{}, err
	}
	return source{named: true, repo: repo, ref: ref, commit: commit}, nil
}

// commitOf reads a commit: gitCommit and sha1 are one thing here.
func commitOf(d attest.DigestSet) (string, error) {
	var found string
	for _, alg := range []string{"gitCommit", "sha1"} {
		v, ok := d[alg]
		if !ok {
			continue
		}
		if !isCommit(v) {
			return "", fmt.Errorf("commit %.80q, want 40 or 64 lower-case hexadecimal digits", v)
		}
		if found != "" && found != v {
			return "", fmt.Errorf("two commits, %s and %s", found, v)
		}
		found = v
	}
	if found == "" {
		return "", errors.New("no commit beside the source")
	}
	return found, nil
}

func signerURI(cert *evidence.Certificate) []string {
	if cert.HasModern() {
		return []string{cert.BuildSignerURI}
	}
	return []string{san(cert, "uri")}
}

func githubRunner(cert *evidence.Certificate) []string {
	if cert.RunnerEnvironment == "" {
		return nil
	}
	return []string{"https://github.com/actions/runner/" + cert.RunnerEnvironment}
}

func npmRunner(cert *evidence.Certificate) []string {
	return append(githubRunner(cert), "https://github.com/actions/runner")
}

// certificateSource is where the certificate says the build came from; what it
// does not name is empty.
func certificateSource(cert *evidence.Certificate) (repo, ref, commit string) {
	if cert == nil {
		return "", "", ""
	}
	if !cert.HasModern() {
		if cert.Legacy.Repository != "" {
			repo = "github.com/" + cert.Legacy.Repository
		}
		return repo, cert.Legacy.Ref, cert.Legacy.SHA
	}
	if cert.SourceRepositoryURI != "" {
		var err error
		if repo, _, err = repositoryURI(cert.SourceRepositoryURI, false); err != nil {
			repo = clip(cert.SourceRepositoryURI) // equals no repository
		}
	}
	return repo, cert.SourceRef, cert.SourceDigest
}

// certificateEntry is the path of the configuration that was started, from .18.
func certificateEntry(cert *evidence.Certificate) string {
	if cert == nil || cert.BuildConfigURI == "" {
		return ""
	}
	if p := entryPath(cert); p != "" {
		return p
	}
	if _, file, ok := strings.Cut(strings.TrimPrefix(cert.BuildConfigURI, "https://"), "//"); ok {
		file, _, _ = strings.Cut(file, "@")
		return file
	}
	return clip(cert.BuildConfigURI) // equals no path
}

// text reads a string at a path of names in a JSON object; absent is empty.
func text(raw []byte, names ...string) (string, error) {
	for i, name := range names {
		if k := strictjson.KindOf(raw); k == strictjson.Null || k == strictjson.Invalid {
			return "", nil
		}
		members, err := strictjson.Object(raw)
		if err != nil {
			return "", fmt.Errorf("%s: %w", strings.Join(names[:i], "."), err)
		}
		raw = nil
		for _, m := range members {
			if m.Name == name {
				raw = m.Value
			}
		}
	}
	if k := strictjson.KindOf(raw); k == strictjson.Null || k == strictjson.Invalid {
		return "", nil
	}
	s, err := strictjson.String(raw)
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(names, "."), err)
	}
	return s, nil
}

// texts reads several strings, all of which must be there.
func texts(raw []byte, paths ...[]string) ([]string, error) {
	out := make([]string, len(paths))
	for i, p := range paths {
		s, err := text(raw, p...)
		if err != nil {
			return nil, err
		}
		if s == "" {
			return nil, fmt.Errorf("externalParameters.%s is missing or empty", strings.Join(p, "."))
		}
		out[i] = s
	}
	return out, nil
}

func (c *claims) needV1() error {
	if c.v1 == nil {
		return errors.New("this build type is of provenance v1")
	}
	return nil
}

// githubWorkflow: externalParameters.workflow and exactly one resolved
// dependency git+REPOSITORY@REF say the same.
func githubWorkflow(c *claims, _ *evidence.Certificate) (source, error) {
	if err := c.needV1(); err != nil {
		return source{}, err
	}
	w, err := texts(c.external, []string{"workflow", "repository"}, []string{"workflow", "ref"}, []string{"workflow", "path"})
	if err != nil {
		return source{}, err
	}
	want := "git+" + w[0] + "@" + w[1]
	var hits []attest.ResourceDescriptor
	for _, d := range c.v1.BuildDefinition.ResolvedDependencies {
		if d.URI == want {
			hits = append(hits, d)
		}
	}
	if len(hits) != 1 {
		return source{}, fmt.Errorf("%d resolved dependencies %.200q, want exactly one", len(hits), want)
	}
	// A ref may hold an @, so it is not read back from the URI.
	repo, none, err := repositoryURI(w[0], false)
	if err != nil || none != "" {
		return source{}, fmt.Errorf("externalParameters.workflow.repository %.128q", w[0])
	}
	commit, err := commitOf(hits[0].Digest)
	return source{named: true, repo: repo, ref: w[1], commit: commit, entry: w[2], hasEntry: true}, err
}

// configSource: provenance v0.2, where the first material is the source again.
func configSource(c *claims, _ *evidence.Certificate) (source, error) {
	s, err := c.readConfigSource()
	switch {
	case err != nil:
		return source{}, err
	case s.ref == "":
		return source{}, errors.New("the configSource names no ref")
	case s.entry == "":
		return source{}, errors.New("the configSource has no entryPoint")
	}
	return s, nil
}

// configSourceRefOptional is for types that may leave the ref to the certificate.
func configSourceRefOptional(c *claims, _ *evidence.Certificate) (source, error) {
	s, err := c.readConfigSource()
	if err == nil && s.entry == "" {
		err = errors.New("the configSource has no entryPoint")
	}
	s.refOptional = true
	return s, err
}

func (c *claims) readConfigSource() (source, error) {
	if c.v02 == nil {
		return source{}, errors.New("this build type is of provenance v0.2")
	}
	cs := c.v02.Invocation.ConfigSource
	if len(c.v02.Materials) == 0 || c.v02.Materials[0].URI != cs.URI {
		return source{}, errors.New("materials[0] is not the configSource")
	}
	s, err := fromURI(cs.URI, cs.Digest, false)
	if err != nil {
		return source{}, err
	}
	if again, err := commitOf(c.v02.Materials[0].Digest); err != nil || again != s.commit {
		return source{}, errors.New("materials[0] has another commit than the configSource")
	}
	s.entry, s.hasEntry = cs.EntryPoint, cs.EntryPoint != ""
	return s, nil
}

// containerBased: externalParameters.source is the first resolved dependency.
func containerBased(c *claims, _ *evidence.Certificate) (source, error) {
	if err := c.needV1(); err != nil {
		return source{}, err
	}
	var ext struct {
		Source     attest.ResourceDescriptor `json:"source"`
		ConfigPath string                    `json:"configPath"`
	}
	if err := strictjson.DecodeAt(c.external, &ext, "externalParameters"); err != nil {
		return source{}, err
	}
	deps := c.v1.BuildDefinition.ResolvedDependencies
	if ext.Source.URI == "" || len(deps) == 0 || deps[0].URI != ext.Source.URI {
		return source{}, errors.New("resolvedDependencies[0] is not externalParameters.source")
	}
	s, err := fromURI(ext.Source.URI, deps[0].Digest, false)
	if err != nil {
		return source{}, err
	}
	if again, err := commitOf(ext.Source.Digest); err != nil || again != s.commit {
		return source{}, errors.New("externalParameters.source has another commit than resolvedDependencies[0]")
	}
	// The configuration is a file of the build, and no workflow: it needs an
	// address among the parameters.
	if ext.ConfigPath == "" {
		return source{}, errors.New("externalParameters.configPath is missing or empty")
	}
	return s, nil
}

// delegator: v1 has one git dependency of the certificate's repository; v0.2 is
// as configSource. The ref may be absent.
func delegator(c *claims, cert *evidence.Certificate) (source, error) {
	if c.v1 == nil {
		s, err := c.readConfigSource()
		s.refOptional = true
		return s, err
	}
	repo, _, _ := certificateSource(cert)
	if repo == "" {
		return source{}, errors.New("the certificate names no repository, which this build type needs")
	}
	var hits []source
	for _, d := range c.v1.BuildDefinition.ResolvedDependencies {
		if s, err := fromURI(d.URI, d.Digest, false); err == nil && s.repo == repo {
			hits = append(hits, s)
		}
	}
	if len(hits) != 1 {
		return source{}, fmt.Errorf("%d resolved dependencies of %s, want exactly one", len(hits), repo)
	}
	hits[0].refOptional = true
	return hits[0], nil
}

// gitlabRunner: the ref stands in the certificate only, and older runners wrote
// the commit's 40 digits under sha256.
func gitlabRunner(c *claims, _ *evidence.Certificate) (source, error) {
	var uri string
	var digests attest.DigestSet
	if c.v02 != nil {
		cs := c.v02.Invocation.ConfigSource
		if len(c.v02.Materials) == 0 || c.v02.Materials[0].URI != cs.URI || !maps.Equal(c.v02.Materials[0].Digest, cs.Digest) {
			return source{}, errors.New("materials[0] is not the configSource")
		}
		if cs.EntryPoint == "" {
			return source{}, errors.New("the configSource has no entryPoint")
		}
		uri, digests = cs.URI, cs.Digest
	} else {
		said, err := texts(c.external, []string{"source"}, []string{"entryPoint"})
		if err != nil {
			return source{}, err
		}
		uri = said[0]
		deps := c.v1.BuildDefinition.ResolvedDependencies
		if len(deps) == 0 || deps[0].URI != uri {
			return source{}, errors.New("resolvedDependencies[0] is not externalParameters.source")
		}
		digests = deps[0].Digest
	}
	if v := digests["sha256"]; len(v) == 40 && digests["gitCommit"] == "" && digests["sha1"] == "" {
		digests = attest.DigestSet{"gitCommit": v}
	}
	s, err := fromURI(uri, digests, false)
	s.refOptional = true
	return s, err
}

// cloudBuild: buildConfigSource and the one dependency of its repository.
func cloudBuild(c *claims, _ *evidence.Certificate) (source, error) {
	if err := c.needV1(); err != nil {
		return source{}, err
	}
	w, err := texts(c.external, []string{"buildConfigSource", "repository"}, []string{"buildConfigSource", "ref"}, []string{"buildConfigSource", "path"})
	if err != nil {
		return source{}, err
	}
	repo, none, err := repositoryURI(w[0], false)
	if err != nil || none != "" {
		return source{}, fmt.Errorf("buildConfigSource.repository %.128q", w[0])
	}
	var commits []string
	for _, d := range c.v1.BuildDefinition.ResolvedDependencies {
		if r, _, err := repositoryURI(d.URI, false); err == nil && r == repo {
			commit, err := commitOf(d.Digest)
			if err != nil {
				return source{}, err
			}
			commits = append(commits, commit)
		}
	}
	if len(commits) != 1 {
		return source{}, fmt.Errorf("%d resolved dependencies of %s, want exactly one", len(commits), repo)
	}
	return source{named: true, repo: repo, ref: w[1], commit: commits[0], entry: w[2], hasEntry: true}, nil
}

// buildKit: a remote build context. A local one names no source at all.
func buildKit(c *claims, _ *evidence.Certificate) (source, error) {
	if c.v02 != nil {
		cs := c.v02.Invocation.ConfigSource
		return fromURI(cs.URI, cs.Digest, true)
	}
	var ext struct {
		ConfigSource struct {
			URI    string           `json:"uri"`
			Digest attest.DigestSet `json:"digest"`
		} `json:"configSource"`
	}
	if err := strictjson.DecodeAt(c.external, &ext, "externalParameters"); err != nil {
		return source{}, err
	}
	return fromURI(ext.ConfigSource.URI, ext.ConfigSource.Digest, true)
}
