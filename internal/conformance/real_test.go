package conformance_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallmark-dev/hallmark/internal/cli"
)

// TestRealBundles verifies more bundles of the public good instance than the
// modules hold that this one depends on, where they lie beside the project. They
// are an extra: what they show is shown by other tests as well.
func TestRealBundles(t *testing.T) {
	dir, err := filepath.Abs("../../../shared/data/real")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Logf("no further bundles beside the project: %v", err)
		return
	}
	signer := func(fields string) string {
		return "policy: v1\nsigners:\n  s: {github: {" + fields + "}}\nrequire:\n  - provenance: {by: s, builder: \"https://github.com/**\"}\n"
	}
	const reusable = `repo: malancas/attest-demo, workflow: "github/artifact-attestations-workflows/.github/workflows/attest.yml@`
	for name, c := range map[string]struct {
		bundle, artifact, policy string
		exit                     int
		says                     string
	}{
		"reusable workflow":              {"reusable-workflow-attestation.sigstore.json", "reusable-workflow-artifact", signer(reusable + `*", ref: refs/heads/main`), 0, "PASS"},
		"reusable workflow, another ref": {"reusable-workflow-attestation.sigstore.json", "reusable-workflow-artifact", signer(reusable + `*", ref: refs/heads/dev`), 1, "signer.ref"},
		"reusable workflow, by a tag":    {"reusable-workflow-attestation.sigstore.json", "reusable-workflow-artifact", signer(reusable + `v*", ref: refs/heads/main`), 1, "signer.workflow ref"},
		"reusable workflow, not said":    {"reusable-workflow-attestation.sigstore.json", "reusable-workflow-artifact", signer(`repo: malancas/attest-demo, ref: refs/heads/main`), 1, "signer.workflow"},
		"issuer with a slug":             {"custom-issuer.sigstore.json", "custom-issuer-artifact", signer(`repo: too-legit/attest, issuer: "https://token.actions.githubusercontent.com/hammer-time", ref: refs/heads/main`), 0, "PASS"},
		"issuer without the slug":        {"custom-issuer.sigstore.json", "custom-issuer-artifact", signer(`repo: too-legit/attest, ref: refs/heads/main`), 1, "signer.issuer"},
		"npm":                            {"sigstore-js-2.1.0-bundle.json", "sigstore-js-2.1.0.tgz", signer(`repo: sigstore/sigstore-js, ref: refs/heads/main`), 0, "PASS"},
		"npm, another artifact":          {"sigstore-js-2.1.0-bundle.json", "custom-issuer-artifact", signer(`repo: sigstore/sigstore-js, ref: refs/heads/main`), 1, "SUBJECT_MISMATCH"},
		"invalid signature":              {"sigstoreBundle-invalid-signature.json", "custom-issuer-artifact", signer(`repo: sigstore/sigstore-js, ref: refs/heads/main`), 1, "BAD_SIGNATURE"},
	} {
		t.Run(name, func(t *testing.T) {
			policy := filepath.Join(t.TempDir(), "policy.yaml")
			if err := os.WriteFile(policy, []byte(c.policy), 0o600); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			code := cli.Run(t.Context(), []string{"verify", "--policy", policy, "--bundle", filepath.Join(dir, c.bundle),
				"--trusted-root", "public-good=" + filepath.Join(dir, "public-good.trusted_root.json"), filepath.Join(dir, c.artifact)},
				func(string) string { return "" }, strings.NewReader(""), &stdout, &stderr)
			if code != c.exit || !strings.Contains(stdout.String(), c.says) {
				t.Errorf("exit status %d, want %d and %q\n%s%s", code, c.exit, c.says, stdout.String(), stderr.String())
			}
		})
	}
}
