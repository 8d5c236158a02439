// Package examples_test runs every example as a reader would.
package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// run runs a command and wants this exit status; it returns all output.
func run(t *testing.T, dir string, env []string, want int, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
		t.Fatalf("%s %s: %v, want exit status %d\n%s", name, strings.Join(args, " "), err, want, out)
	}
	return string(out)
}

func wants(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("no %q in:\n%s", text, out)
		}
	}
}

func TestQuickstart(t *testing.T) {
	wants(t, run(t, "", nil, 0, "go", "run", "./quickstart"), "PASS  app", "DENIED  app", "SUBJECT_MISMATCH", "was denied, as it should be")
	source, err := os.ReadFile("quickstart/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), "\n"); n >= 120 {
		t.Errorf("%d lines, want fewer than 120", n)
	}
}

// hallmark builds the command.
func hallmark(t *testing.T) string {
	bin := filepath.Join(t.TempDir(), "hallmark")
	run(t, "", nil, 0, "go", "build", "-o", bin, "../cmd/hallmark")
	return bin
}

func TestBuildtool(t *testing.T) {
	bin, dir := hallmark(t), t.TempDir()
	env := []string{"COSIGN_PASSWORD=secret"}
	run(t, dir, env, 0, bin, "keygen", "--out", "release")
	app := filepath.Join(dir, "app")
	run(t, "", env, 0, "go", "run", "./buildtool", "-key", filepath.Join(dir, "release.key"), "-o", app, "./buildtool")
	wants(t, run(t, dir, nil, 0, bin, "verify", "--key", "release.pub", "app"), "PASS  app")
	wants(t, run(t, dir, nil, 0, bin, "inspect", "app.sigstore.json"), "https://slsa.dev/provenance/v1")

	policy := `policy: v1
expires: 2036-01-01T00:00:00Z
trust:
  alone: {log: none, timestamps: none}
signers:
  buildtool: {key: {file: release.pub}, trust: alone}
require:
  - provenance:
      by: buildtool
      builder: https://example.com/buildtool
      buildType: https://example.com/buildtool/go-build/v1
      parameters: {package: {exact: ./buildtool}, goos: any, goarch: any}
`
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, run(t, dir, nil, 0, bin, "verify", "--policy", "policy.yaml", "app"), "PASS  app")

	run(t, "", []string{"COSIGN_PASSWORD=wrong"}, 1, "go", "run", "./buildtool", "-key", filepath.Join(dir, "release.key"), "-o", filepath.Join(dir, "two"), "./buildtool")
	if _, err := os.Stat(filepath.Join(dir, "two")); err == nil {
		t.Error("built, although the key could not be read")
	}
}

func TestRelease(t *testing.T) {
	bin, dir := hallmark(t), t.TempDir()
	env := []string{"COSIGN_PASSWORD=secret", "HALLMARK=" + bin}
	run(t, dir, env, 0, bin, "keygen", "--out", "key")
	dist := filepath.Join(dir, "dist")
	if err := os.Mkdir(dist, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"a.tar.gz": "a", "b.tar.gz": "b",
		"provenance.json": `{"buildDefinition":{"buildType":"https://example.com/make/v1","externalParameters":{"target":"dist"}},"runDetails":{"builder":{"id":"https://example.com/jane"}}}`} {
		if err := os.WriteFile(filepath.Join(dist, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script, err := filepath.Abs("release/release.sh")
	if err != nil {
		t.Fatal(err)
	}
	wants(t, run(t, dir, env, 0, "sh", script, filepath.Join(dir, "key"), dist), "PASS  a.tar.gz", "PASS  b.tar.gz")
	// A second release into the same place would lose the first one's bundle.
	wants(t, run(t, dir, env, 2, "sh", script, filepath.Join(dir, "key"), dist), "exists already")
}
