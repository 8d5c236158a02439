package sigstoretest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Claims are the claims of an identity token.
type Claims map[string]any

// The issuers of the helpers below. The test Fulcio writes whatever issuer the
// token names into the certificate.
const (
	GitHubIssuer = "https://token.actions.githubusercontent.com"
	GitLabIssuer = "https://gitlab.com"
	GoogleIssuer = "https://accounts.google.com"
)

// GitHub is a GitHub Actions run. Zero fields get plausible values.
type GitHub struct {
	Server         string // https://github.com
	Issuer         string // GitHubIssuer
	Repo           string // acme/app
	Workflow       string // .github/workflows/release.yml, the file that was started
	Ref            string // refs/heads/main
	SHA            string // 40 hexadecimal digits
	JobWorkflowRef string // OWNER/REPO/PATH@REF of a reusable workflow; the started file when empty
	JobWorkflowSHA string
	Event          string // push
	Runner         string // github-hosted
	RepoID         string // 123456789
	OwnerID        string // 987654
	RunID          string // 1000
	RunAttempt     string // 1
	Visibility     string // public
	Environment    string // none
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// Claims are those that GitHub puts into a token.
func (g GitHub) Claims() Claims {
	repo, ref := or(g.Repo, "acme/app"), or(g.Ref, "refs/heads/main")
	sha := or(g.SHA, "0123456789abcdef0123456789abcdef01234567")
	path := or(g.Workflow, ".github/workflows/release.yml")
	started := repo + "/" + path + "@" + ref
	owner, _, _ := strings.Cut(repo, "/")
	c := Claims{
		"iss": or(g.Issuer, GitHubIssuer), "sub": "repo:" + repo + ":ref:" + ref,
		"repository": repo, "repository_owner": owner, "repository_id": or(g.RepoID, "123456789"), "repository_owner_id": or(g.OwnerID, "987654"),
		"repository_visibility": or(g.Visibility, "public"), "ref": ref, "sha": sha, "event_name": or(g.Event, "push"),
		"workflow": "Release", "workflow_ref": started, "workflow_sha": sha,
		"job_workflow_ref": or(g.JobWorkflowRef, started), "job_workflow_sha": or(g.JobWorkflowSHA, sha),
		"run_id": or(g.RunID, "1000"), "run_attempt": or(g.RunAttempt, "1"), "runner_environment": or(g.Runner, "github-hosted"),
		"server_url": or(g.Server, "https://github.com"),
	}
	if g.Environment != "" {
		c["environment"] = g.Environment
	}
	return c
}

// GitLab is a GitLab pipeline. Zero fields get plausible values.
type GitLab struct {
	Server  string // https://gitlab.com, also the issuer
	Project string // acme/app
	Config  string // .gitlab-ci.yml
	Ref     string // refs/heads/main
	SHA     string
	Source  string // push
	Runner  string // gitlab-hosted
}

// Claims are those that GitLab puts into a token.
func (g GitLab) Claims() Claims {
	server, project, ref := or(g.Server, GitLabIssuer), or(g.Project, "acme/app"), or(g.Ref, "refs/heads/main")
	sha := or(g.SHA, "0123456789abcdef0123456789abcdef01234567")
	host := strings.TrimPrefix(server, "https://")
	kind := "branch"
	if strings.HasPrefix(ref, "refs/tags/") {
		kind = "tag"
	}
	return Claims{
		"iss": server, "sub": "project_path:" + project + ":ref_type:" + kind + ":ref:" + ref[strings.LastIndexByte(ref, '/')+1:],
		"project_path": project, "project_id": "42", "namespace_path": strings.Split(project, "/")[0], "namespace_id": "7",
		"pipeline_source": or(g.Source, "push"), "ref_path": ref, "sha": sha, "runner_environment": or(g.Runner, "gitlab-hosted"),
		"ci_config_ref_uri": host + "/" + project + "//" + or(g.Config, ".gitlab-ci.yml") + "@" + ref, "ci_config_sha": sha,
		"job_id": "99", "project_visibility": "public", "server_url": server,
	}
}

// Email is a person with a verified address. An empty issuer is Google's.
func Email(address, issuer string) Claims {
	return Claims{"iss": or(issuer, GoogleIssuer), "sub": "person-" + address, "email": address, "email_verified": true}
}

// Subject is a machine whose subject is a URI.
func Subject(uri, issuer string) Claims { return Claims{"iss": issuer, "sub": uri} }

// An identity is what a certificate says.
type identity struct {
	uri, email string
	legacy     [7]string      // .1 to .6
	modern     map[int]string // .8 to .24
}

func (c Claims) text(name string) string {
	s, _ := c[name].(string)
	return s
}

// identify reads claims as Fulcio does: by the kind of issuer.
func identify(c Claims) (identity, error) {
	id := identity{modern: map[int]string{8: c.text("iss"), 24: c.text("sub")}}
	id.legacy[1] = c.text("iss")
	switch {
	case c.text("job_workflow_ref") != "":
		id.github(c)
	case c.text("ci_config_ref_uri") != "":
		id.gitlab(c)
	case c.text("email") != "":
		if c["email_verified"] != true {
			return id, errors.New("email_verified is not true")
		}
		id.email = c.text("email")
	default:
		if u, err := url.Parse(c.text("sub")); err != nil || u.Scheme == "" {
			return id, fmt.Errorf("subject %q is no URI", c.text("sub"))
		}
		id.uri = c.text("sub")
	}
	return id, nil
}

func (id *identity) github(c Claims) {
	server := c.text("server_url")
	repo := server + "/" + c.text("repository")
	id.uri = server + "/" + c.text("job_workflow_ref")
	id.legacy = [7]string{1: c.text("iss"), 2: c.text("event_name"), 3: c.text("sha"), 4: c.text("workflow"), 5: c.text("repository"), 6: c.text("ref")}
	for n, v := range map[int]string{
		9: id.uri, 10: c.text("job_workflow_sha"), 11: c.text("runner_environment"), 12: repo, 13: c.text("sha"), 14: c.text("ref"),
		15: c.text("repository_id"), 16: server + "/" + c.text("repository_owner"), 17: c.text("repository_owner_id"),
		18: server + "/" + c.text("workflow_ref"), 19: c.text("workflow_sha"), 20: c.text("event_name"),
		21: repo + "/actions/runs/" + c.text("run_id") + "/attempts/" + c.text("run_attempt"), 22: c.text("repository_visibility"),
		23: c.text("environment"),
	} {
		id.modern[n] = v
	}
}

func (id *identity) gitlab(c Claims) {
	server := c.text("server_url")
	repo := server + "/" + c.text("project_path")
	id.uri = "https://" + c.text("ci_config_ref_uri")
	for n, v := range map[int]string{
		9: id.uri, 10: c.text("ci_config_sha"), 11: c.text("runner_environment"), 12: repo, 13: c.text("sha"), 14: c.text("ref_path"),
		15: c.text("project_id"), 16: server + "/" + c.text("namespace_path"), 17: c.text("namespace_id"),
		18: id.uri, 19: c.text("ci_config_sha"), 20: c.text("pipeline_source"), 21: repo + "/-/jobs/" + c.text("job_id"), 22: c.text("project_visibility"),
	} {
		id.modern[n] = v
	}
}

// apply writes the identity into a certificate.
func (id identity) apply(t *x509.Certificate) {
	if id.uri != "" {
		if u, err := url.Parse(id.uri); err == nil {
			t.URIs = []*url.URL{u}
		}
	}
	if id.email != "" {
		t.EmailAddresses = []string{id.email}
	}
	for n := 1; n <= 6; n++ {
		if id.legacy[n] != "" {
			t.ExtraExtensions = append(t.ExtraExtensions, Extension(n, id.legacy[n]))
		}
	}
	for n := 8; n <= 24; n++ {
		if id.modern[n] != "" {
			t.ExtraExtensions = append(t.ExtraExtensions, Extension(n, id.modern[n]))
		}
	}
}

// Extension makes Fulcio's extension 1.3.6.1.4.1.57264.1.N: a raw text for 1 to
// 6, a DER UTF8String for the others. It is for Options.Certificate.
func Extension(n int, value string) pkix.Extension {
	ext := pkix.Extension{Id: append(append(asn1.ObjectIdentifier{}, fulcioArc...), n), Value: []byte(value)}
	if n >= 7 {
		der, err := asn1.MarshalWithParams(value, "utf8")
		if err != nil {
			panic("sigstoretest: extension value is not UTF-8")
		}
		ext.Value = der
	}
	return ext
}
