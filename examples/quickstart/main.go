// Command quickstart attests an artifact, signs keylessly, verifies, and decides
// by policy.yaml; then it changes one bit of the artifact, and is denied. The
// Sigstore runs in this process, so nothing leaves the machine.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/attest/predicate"
	"github.com/hallmark-dev/hallmark/attest/sign"
	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
	"github.com/hallmark-dev/hallmark/attest/subject"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/policy/report"
	"github.com/hallmark-dev/hallmark/verify"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

//go:embed policy.yaml
var policyFile []byte

func main() {
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "quickstart-"))
	defer os.RemoveAll(dir)
	artifact := filepath.Join(dir, "app")
	check(os.WriteFile(artifact, []byte("a small artifact"), 0o600))
	sigstore := must(sigstoretest.Start(sigstoretest.Options{}))
	defer sigstore.Close()

	// In the build: say how the artifact was built, sign, and write the bundle.
	check(os.WriteFile(artifact+".sigstore.json", attestBuild(ctx, sigstore, artifact).Bytes(), 0o600))

	// In the deployment: verify and decide.
	d := decide(ctx, sigstore.TrustedRoot(), artifact)
	check(report.Text(os.Stdout, d))
	check(d.Err())

	// One bit later.
	check(os.WriteFile(artifact, []byte("a small artifacu"), 0o600))
	d = decide(ctx, sigstore.TrustedRoot(), artifact)
	check(report.Text(os.Stdout, d))
	if denied := (*policy.Denied)(nil); !errors.As(d.Err(), &denied) {
		log.Fatal("the changed artifact was not denied")
	}
	fmt.Println("The changed artifact was denied, as it should be.")
}

func attestBuild(ctx context.Context, sigstore *sigstoretest.Sigstore, artifact string) *bundle.Bundle {
	const repo, ref, workflow = "https://github.com/acme/app", "refs/tags/v1.2.3", ".github/workflows/release.yml"
	run := sigstoretest.GitHub{Repo: "acme/app", Ref: ref, Workflow: workflow, SHA: "0123456789abcdef0123456789abcdef01234567"}
	subjects := must(subject.Collect(subject.Hasher{}.Files(ctx, artifact)))
	statement := must(attest.New(subjects, &predicate.Provenance{
		BuildDefinition: predicate.BuildDefinition{
			BuildType:          "https://actions.github.io/buildtypes/workflow/v1",
			ExternalParameters: json.RawMessage(`{"workflow":{"ref":"` + ref + `","repository":"` + repo + `","path":"` + workflow + `"}}`),
			ResolvedDependencies: []attest.ResourceDescriptor{{
				URI: "git+" + repo + "@" + ref, Digest: attest.DigestSet{"gitCommit": run.SHA}}},
		},
		RunDetails: predicate.RunDetails{Builder: predicate.Builder{ID: repo + "/" + workflow + "@" + ref}},
	}))
	signer := must(sign.New(sign.Config{
		Token:         func(context.Context) (string, error) { return sigstore.Token(run.Claims()) },
		SigningConfig: sigstore.SigningConfig(), TrustedRoot: sigstore.TrustedRoot(), Now: time.Now,
	}))
	return must(signer.Sign(ctx, statement))
}

func decide(ctx context.Context, trustedRoot []byte, artifact string) policy.Decision {
	root := must(verify.ParseTrustRoot(policy.Given, trustedRoot))
	verifier := must(verify.New(root, verify.Config{}))
	rules := must(policy.Load("policy.yaml", policyFile, nil))
	b := must(bundle.Parse(must(os.ReadFile(artifact + ".sigstore.json"))))
	subjects := must(subject.Collect(subject.Hasher{}.Files(ctx, artifact)))
	in := policy.Input{
		Artifact: policy.Artifact{Name: "app", Digests: subjects[0].Digest},
		Roots:    []policy.Root{{Name: root.Name(), Digest: root.Digest()}},
		Now:      time.Now(),
	}
	ev, err := verifier.Verify(b, subjects[0].Digest)
	if refused := (*verify.Error)(nil); errors.As(err, &refused) {
		in.Rejected = []policy.Rejected{{Bundle: b.Digest(), Reason: string(refused.Reason), Detail: refused.Detail}}
	} else {
		in.Evidence = []evidence.Evidence{ev}
	}
	return rules.Evaluate(in)
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
