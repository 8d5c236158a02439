package repo_test

import (
	"fmt"
	"go/ast"
	"go/doc"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hallmark-dev/hallmark"

// levels is the tree of packages. A package imports only packages of lower
// levels: never sideways, never up.
var levels = map[string]int{
	"internal/strictjson":  0,
	"internal/atomicfile":  0,
	"attest/bundle":        1,
	"attest":               2,
	"attest/subject":       3,
	"attest/predicate":     3,
	"attest/key":           4,
	"verify/evidence":      4,
	"attest/sign":          5,
	"verify":               5,
	"policy":               5,
	"policy/report":        6,
	"attest/sigstoretest":  6,
	"internal/cli":         8,
	"cmd/hallmark":         9,
	"examples":             10,
	"examples/buildtool":   10,
	"examples/quickstart":  10,
	"internal/conformance": 11, // tests alone
	"internal/repo":        11, // tests alone
}

// list runs go list at the top of the module.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func short(path string) string { return strings.TrimPrefix(path, module+"/") }

func TestImportsPointDown(t *testing.T) {
	seen := make(map[string]bool)
	for _, line := range list(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		path, imports, _ := strings.Cut(line, " ")
		path = short(path)
		seen[path] = true
		level, ok := levels[path]
		if !ok {
			t.Errorf("package %s has no level in this test", path)
			continue
		}
		for imp := range strings.FieldsSeq(imports) {
			if !strings.HasPrefix(imp, module) {
				continue
			}
			if to, ok := levels[short(imp)]; !ok || to >= level {
				t.Errorf("%s (level %d) imports %s (level %d)", path, level, short(imp), to)
			}
		}
	}
	for path := range levels {
		if !seen[path] {
			t.Errorf("package %s is in this test and not in the module", path)
		}
	}
}

// onSigstore are the packages that sigstore-go is for.
var onSigstore = []string{"attest/sign", "verify", "attest/sigstoretest"}

// heavy is what light packages must not link. Who may is listed, and whatever
// stands above one of these may too. Sigstore-go brings some of it along.
var heavy = []struct {
	what    string // prefix of import paths
	allowed []string
}{
	{"github.com/sigstore/sigstore-go", onSigstore},
	{"github.com/sigstore/rekor", onSigstore},
	{"google.golang.org/grpc", onSigstore},
	{"github.com/spf13/cobra", append([]string{"internal/cli"}, onSigstore...)},
	{"github.com/stretchr/testify", nil},
	{"github.com/in-toto/in-toto-golang", onSigstore},
	{"k8s.io/client-go", nil},
	{"github.com/sigstore/cosign", nil},
}

func TestNothingHeavyInLightPackages(t *testing.T) {
	for _, line := range list(t, "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...") {
		path, deps, _ := strings.Cut(line, " ")
		path = short(path)
		all := strings.Fields(deps)
		for _, h := range heavy {
			links := slices.ContainsFunc(all, func(d string) bool { return strings.HasPrefix(d, h.what) })
			may := slices.ContainsFunc(h.allowed, func(a string) bool { return path == a || slices.Contains(all, module+"/"+a) })
			if links && !may {
				t.Errorf("%s links %s, which only %v and what stands above may", path, h.what, h.allowed)
			}
		}
	}
}

// maxModules is the most that the command may link.
const maxModules = 120

// linked counts the modules that a package links, this one included.
func linked(t *testing.T, path string) int {
	t.Helper()
	modules := make(map[string]bool)
	for _, m := range list(t, "-deps", "-f", `{{with .Module}}{{.Path}}{{end}}`, "./"+path) {
		if m != "" {
			modules[m] = true
		}
	}
	return len(modules)
}

// TestReadmeTable: every public package stands in the README's table, with the
// number of modules that it links.
func TestReadmeTable(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\|.*\\| ([0-9]+)[^|]*\\|$").FindAllStringSubmatch(string(readme), -1) {
		rows[m[1]] = m[2]
	}
	public(t, func(path string, p *doc.Package, _ []*ast.File) {
		if p.Name == "main" {
			return
		}
		if n := fmt.Sprint(linked(t, path)); rows[path] != n {
			t.Errorf("package %s links %s modules, and the README says %q", path, n, rows[path])
		}
	})
	if n := linked(t, "cmd/hallmark"); n > maxModules {
		t.Errorf("the command links %d modules, want at most %d", n, maxModules)
	}
}
