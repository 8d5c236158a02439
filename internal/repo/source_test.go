package repo_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// command runs a command at the top of the module.
func command(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestVet(t *testing.T) {
	if out, err := command(t, "go", "vet", "./..."); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestModuleFilesAreTidy(t *testing.T) {
	if out, err := command(t, "go", "mod", "tidy", "-diff"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFormatted(t *testing.T) {
	if out, err := command(t, "gofmt", "-l", "."); err != nil || out != "" {
		t.Errorf("not formatted: %v\n%s", err, out)
	}
}

// public calls f with each public package: its path and its files.
func public(t *testing.T, f func(path string, p *doc.Package, files []*ast.File)) {
	t.Helper()
	fset := token.NewFileSet()
	n := 0
	for _, line := range list(t, "-f", `{{.ImportPath}} {{.Dir}}`, "./...") {
		path, dir, _ := strings.Cut(line, " ")
		if strings.Contains(path, "/internal/") || strings.Contains(path, "/examples") {
			continue
		}
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		var files []*ast.File
		for _, name := range names {
			file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		p, err := doc.NewFromFiles(fset, files, path)
		if err != nil {
			t.Fatal(err)
		}
		n++
		f(short(path), p, files)
	}
	if n < 10 {
		t.Fatalf("only %d public packages found", n)
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	public(t, func(path string, p *doc.Package, _ []*ast.File) {
		if len(p.Doc) < 100 && path != "cmd/hallmark" || !strings.HasPrefix(p.Doc, "Package "+p.Name+" ") && !strings.HasPrefix(p.Doc, "Command ") {
			t.Errorf("package %s: its comment says too little: %q", path, p.Doc)
		}
		check := func(name, text string) {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s.%s has no comment", path, name)
			}
		}
		values := func(vs []*doc.Value) {
			for _, v := range vs {
				check(strings.Join(v.Names, ","), v.Doc)
			}
		}
		values(p.Consts)
		values(p.Vars)
		for _, f := range p.Funcs {
			check(f.Name, f.Doc)
		}
		for _, typ := range p.Types {
			check(typ.Name, typ.Doc)
			values(typ.Consts)
			values(typ.Vars)
			for _, f := range typ.Funcs {
				check(f.Name, f.Doc)
			}
			for _, m := range typ.Methods {
				// What these do is said by the interfaces they implement.
				if m.Name != "Error" && m.Name != "Unwrap" && m.Name != "String" {
					check(typ.Name+"."+m.Name, m.Doc)
				}
			}
		}
	})
}

func TestEveryPublicPackageHasAnExample(t *testing.T) {
	public(t, func(path string, p *doc.Package, _ []*ast.File) {
		if p.Name == "main" {
			return
		}
		n := len(p.Examples)
		for _, f := range p.Funcs {
			n += len(f.Examples)
		}
		for _, typ := range p.Types {
			n += len(typ.Examples)
			for _, f := range typ.Funcs {
				n += len(f.Examples)
			}
			for _, m := range typ.Methods {
				n += len(m.Examples)
			}
		}
		if n == 0 {
			t.Errorf("package %s has no example", path)
		}
	})
}

// TestLibrariesKeepToThemselves: no package prints, logs, exits, reads the
// environment or the clock, or has init functions and state that can change.
func TestLibrariesKeepToThemselves(t *testing.T) {
	forbidden := regexp.MustCompile(`\b(os\.(Getenv|LookupEnv|Environ|Exit|Stdout|Stderr)|fmt\.Print(f|ln)?|log\.(Print|Fatal|Panic|Default)\w*|time\.(Now|Since|Until))\b`)
	// sigstoretest and verify's TUF client document their own defaults.
	mayClock := regexp.MustCompile(`^attest/sigstoretest/|^examples/|^internal/cli/|^cmd/`)
	walk(t, func(name string, data []byte) {
		if strings.HasSuffix(name, "_test.go") || mayClock.MatchString(name) {
			return
		}
		for i, line := range strings.Split(string(data), "\n") {
			code, _, _ := strings.Cut(line, "//")
			if m := forbidden.FindString(code); m != "" {
				t.Errorf("%s:%d: %s", name, i+1, m)
			}
			if strings.HasPrefix(code, "func init(") {
				t.Errorf("%s:%d: init", name, i+1)
			}
		}
	})
}

// TestSourcesSpeakOfTheProjectOnly: no marks of unfinished work, and no paths of
// the machine that they were written on.
func TestSourcesSpeakOfTheProjectOnly(t *testing.T) {
	bad := regexp.MustCompile(`\b(` + "TO" + `DO|FIX` + `ME|XX` + `X)\b|/ro` + `ot/|/wo` + `rk/`)
	walk(t, func(name string, data []byte) {
		for i, line := range strings.Split(string(data), "\n") {
			if m := bad.FindString(line); m != "" {
				t.Errorf("%s:%d: %s", name, i+1, m)
			}
		}
	})
}

func walk(t *testing.T, f func(name string, data []byte)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		f(filepath.ToSlash(strings.TrimPrefix(path, "../../")), data)
		return nil
	})
	if err != nil || n < 80 {
		t.Fatalf("%d files, %v", n, err)
	}
}

// fence finds the code blocks of one language in a Markdown file.
func fence(text, language string) []string {
	var out []string
	for _, part := range strings.Split(text, "```"+language+"\n")[1:] {
		code, _, _ := strings.Cut(part, "```")
		out = append(out, code)
	}
	return out
}

// TestReadmePrograms compiles every Go program of the README.
func TestReadmePrograms(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := fence(string(readme), "go")
	if len(programs) < 2 {
		t.Fatalf("%d Go programs in the README, want one for each line of data", len(programs))
	}
	for i, code := range programs {
		dir := t.TempDir()
		file := filepath.Join(dir, "main.go")
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := command(t, "go", "build", "-o", filepath.Join(dir, "program"), file); err != nil {
			t.Errorf("program %d: %v\n%s", i+1, err, out)
		}
	}
	if n := strings.Count(string(readme), "\n"); n > 200 {
		t.Errorf("the README has %d lines, want at most 200", n)
	}
}
