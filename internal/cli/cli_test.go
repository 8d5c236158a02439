package cli_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
	"github.com/hallmark-dev/hallmark/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){hashing: hashOnly, "hallmark": func() {
		os.Exit(cli.Run(context.Background(), os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
	}})
}

// TestScripts runs each script with a Sigstore of its own, whose trusted root,
// signing configs and tokens lie in $WORK.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":   exits,
			"flipbit": flipBit,
		},
		Setup: func(env *testscript.Env) error {
			s, err := sigstoretest.Start(sigstoretest.Options{})
			if err != nil {
				return err
			}
			env.Defer(s.Close)
			other, err := sigstoretest.Start(sigstoretest.Options{})
			if err != nil {
				return err
			}
			env.Defer(other.Close)
			files := map[string][]byte{"trusted_root.json": s.TrustedRoot(), "signing_config.json": s.SigningConfig(),
				"other_root.json": other.TrustedRoot()}
			for name, claims := range map[string]sigstoretest.Claims{
				"github.token": sigstoretest.GitHub{Repo: "acme/app", Ref: "refs/tags/v1.2.3", Workflow: ".github/workflows/release.yml",
					SHA: "0123456789abcdef0123456789abcdef01234567"}.Claims(),
				"reusable.token": sigstoretest.GitHub{Repo: "acme/app", Ref: "refs/tags/v13.2.0", Workflow: ".github/workflows/release.yml",
					JobWorkflowRef: "acme/builders/.github/workflows/go.yml@refs/tags/v1", SHA: "0123456789abcdef0123456789abcdef01234567"}.Claims(),
				"newer.token": sigstoretest.GitHub{Repo: "acme/app", Ref: "refs/tags/v14", Workflow: ".github/workflows/release.yml",
					JobWorkflowRef: "acme/builders/.github/workflows/go.yml@refs/tags/v1", SHA: "0123456789abcdef0123456789abcdef01234567"}.Claims(),
				"email.token": sigstoretest.Email("jane@example.com", ""),
			} {
				token, err := s.Token(claims)
				if err != nil {
					return err
				}
				files[name] = []byte(token)
			}
			for name, data := range files {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), data, 0o600); err != nil {
					return err
				}
			}
			env.Setenv("FULCIO", s.FulcioURL())
			return nil
		},
	})
}

// exits N COMMAND... wants exactly this exit status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var status *exec.ExitError
		if !errors.As(err, &status) {
			ts.Fatalf("%v", err)
		}
		got = status.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// flipbit FILE changes the last bit of the first byte.
func flipBit(ts *testscript.TestScript, neg bool, args []string) {
	name := ts.MkAbs(args[0])
	data, err := os.ReadFile(name)
	ts.Check(err)
	data[0] ^= 1
	ts.Check(os.WriteFile(name, data, 0o600))
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestResultThatCannotBeWrittenIsAnError(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(file, []byte("policy: v1\nrequire:\n  - provenance: {from: github.com/acme/app@v*}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	code := cli.Run(t.Context(), []string{"policy", "explain", file}, func(string) string { return "" }, strings.NewReader(""), broken{}, &stderr)
	if code != 2 || !strings.Contains(stderr.String(), "disk full") {
		t.Errorf("exit status %d, %s", code, stderr.String())
	}
}

func TestCancelled(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "app")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	code := cli.Run(ctx, []string{"attest", "--dry-run", "--type", "https://example.com/x", "--predicate", "-", file},
		func(string) string { return "" }, strings.NewReader("{}"), io.Discard, &stderr)
	if code != 2 || !strings.Contains(stderr.String(), "canceled") {
		t.Errorf("exit status %d, %s", code, stderr.String())
	}
}

// TestHelp: every command says what it does and shows an example.
func TestHelp(t *testing.T) {
	for _, command := range []string{"attest", "verify", "inspect", "keygen", "policy explain", "policy lint"} {
		var stdout, stderr bytes.Buffer
		code := cli.Run(t.Context(), append(strings.Fields(command), "--help"), func(string) string { return "" }, strings.NewReader(""), &stdout, &stderr)
		if code != 0 || stderr.Len() > 0 || !strings.Contains(stdout.String(), "Examples:\n  ") || !strings.Contains(stdout.String(), "hallmark "+command) {
			t.Errorf("%s --help: exit status %d\n%s%s", command, code, stdout.String(), stderr.String())
		}
	}
}
