package policy

import (
	"fmt"
	"strings"
)

// repositoryURI reads a repository URI from evidence and returns "HOST/PATH"
// and the ref behind it, which may be empty. Accepted is
//
//	[git+]https://HOST/PATH[.git][@REF]
//
// and nothing that two readers could take for two repositories: no other
// scheme, user-info, port, query, percent-encoding, empty or dot segment.
// buildkit also takes https://HOST/PATH.git#REF[:DIR].
func repositoryURI(uri string, buildkit bool) (repo, ref string, err error) {
	bad := func(why string) (string, string, error) {
		return "", "", fmt.Errorf("repository URI %.128q: %s", uri, why)
	}
	if why := unsafeText(uri); why != "" {
		return bad(why)
	}
	rest, ok := strings.CutPrefix(strings.TrimPrefix(uri, "git+"), "https://")
	if !ok {
		return bad("want https://HOST/PATH, perhaps with git+ before it")
	}
	host, path, ok := strings.Cut(rest, "/")
	if !ok {
		return bad("no path")
	}
	var hasRef bool
	if buildkit {
		path, ref, hasRef = strings.Cut(path, "#")
		ref, _, _ = strings.Cut(ref, ":")
	} else {
		path, ref, hasRef = strings.Cut(path, "@")
	}
	if hasRef && oddSegment(ref) {
		return bad("an empty, . or .. segment in the ref")
	}
	path = strings.TrimSuffix(path, ".git")
	host = lowerASCII(host)
	if why := badHost(host); why != "" {
		return bad(why)
	}
	if strings.ContainsAny(path, "?#%@\\") || strings.HasSuffix(path, ".git") {
		return bad("unexpected characters in the path")
	}
	segments := strings.Split(path, "/")
	if len(segments) < 2 {
		return bad("want at least two path segments")
	}
	if oddSegment(path) {
		return bad("an empty, . or .. path segment")
	}
	return host + "/" + path, ref, nil
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// badHost says what is wrong with a host name: it must be lower-case ASCII,
// without port, user-info, or a trailing dot.
func badHost(host string) string {
	if host == "" || len(host) > 253 {
		return "no host, or one longer than 253 characters"
	}
	for _, label := range strings.Split(host, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' || len(label) > 63 {
			return fmt.Sprintf("host %.80q is not a plain name", host)
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return fmt.Sprintf("host %.80q is not a plain lower-case ASCII name", host)
			}
		}
	}
	return ""
}

// policyRepo checks a repository as a policy names it: HOST/PATH.
func policyRepo(s string) error {
	host, path, _ := strings.Cut(s, "/")
	if strings.Contains(s, "://") || strings.HasSuffix(s, ".git") {
		return fmt.Errorf("%.128q, want HOST/OWNER/NAME without scheme and without .git", s)
	}
	if why := badHost(host); why != "" {
		return fmt.Errorf("%.128q: %s", s, why)
	}
	if strings.ContainsAny(path, "?#%@*\\ ") || oddSegment(path) || !strings.Contains(path, "/") {
		return fmt.Errorf("%.128q, want HOST/OWNER/NAME, exact", s)
	}
	return nil
}

// refPattern expands the @REF of a short form: refs/… as it is, ** as it is, 40
// or 64 hexadecimal digits as a commit, anything else as a tag.
func refPattern(text string) (expanded string, commit bool) {
	switch {
	case strings.HasPrefix(text, "refs/") || text == "**":
		return text, false
	case isCommit(text):
		return text, true
	}
	return "refs/tags/" + text, false
}

// isCommit reports whether text is a full git object id in lower case.
func isCommit(text string) bool {
	if len(text) != 40 && len(text) != 64 {
		return false
	}
	return strings.Trim(text, "0123456789abcdef") == ""
}

// A workflow is a GitHub workflow file at a ref, split from a URI as
// https://github.com/OWNER/REPO/.github/workflows/x.yml@REF.
type workflow struct {
	repo string // HOST/OWNER/REPO
	path string // .github/workflows/x.yml
	ref  string
}

const workflowDir = "/.github/workflows/"

// parseWorkflow splits at the first ".yml@" or ".yaml@" behind the workflow
// folder. A file in a subfolder, and a dynamic workflow, are none.
func parseWorkflow(uri string) (workflow, error) {
	bad := fmt.Errorf("workflow %.160q, want https://HOST/OWNER/REPO/.github/workflows/FILE.yml@REF", uri)
	rest, ok := strings.CutPrefix(uri, "https://")
	i := strings.Index(rest, workflowDir)
	if !ok || i < 0 || unsafeText(uri) != "" {
		return workflow{}, bad
	}
	repo, file := rest[:i], rest[i+len(workflowDir):]
	end := -1
	for _, ext := range []string{".yml@", ".yaml@"} {
		if j := strings.Index(file, ext); j > 0 && (end < 0 || j+len(ext) < end) {
			end = j + len(ext)
		}
	}
	host, path, _ := strings.Cut(repo, "/")
	host = lowerASCII(host)
	if end < 0 || strings.Contains(file[:end], "/") || file[end:] == "" || badHost(host) != "" || oddSegment(path) || strings.Count(path, "/") != 1 {
		return workflow{}, bad
	}
	return workflow{repo: host + "/" + path, path: workflowDir[1:] + file[:end-1], ref: file[end:]}, nil
}
