package verify_test

import (
	"errors"
	"fmt"
	"os"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/verify"
)

// The bundle and the root were made once by a Sigstore for tests; a program
// takes the root from FetchTrustRoot or from a file that it trusts.
func Example() {
	rootFile, bundleFile := goodVector()

	root, err := verify.ParseTrustRoot("tests", rootFile)
	if err != nil {
		panic(err)
	}
	verifier, err := verify.New(root, verify.Config{})
	if err != nil {
		panic(err)
	}
	b, err := bundle.Parse(bundleFile)
	if err != nil {
		panic(err)
	}
	artifact, err := attest.ParseDigest("sha256:bc7d9595113fde1cc84e2489f523da6184c8f1417a62ee5d8f2f2f98f6dd3854")
	if err != nil {
		panic(err)
	}

	evidence, err := verifier.Verify(b, attest.Set(artifact))
	if err != nil {
		panic(err)
	}
	fmt.Println(evidence.Signer().Certificate.BuildSignerURI)
	fmt.Println(evidence.Times()[0].Kind, evidence.Times()[0].Time)

	_, err = verifier.Verify(b, attest.DigestSet{"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"})
	var refused *verify.Error
	if errors.As(err, &refused) {
		fmt.Println("another artifact:", refused.Reason)
	}
	// Output:
	// https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3
	// rfc3161 2026-01-02 03:04:05 +0000 UTC
	// another artifact: subject-mismatch
}

func goodVector() (root, bundle []byte) {
	root, err := os.ReadFile("../testdata/verify/root.json")
	if err != nil {
		panic(err)
	}
	vector, err := txtar.ParseFile("../testdata/verify/good-rekor-v2.txt")
	if err != nil {
		panic(err)
	}
	return root, vector.Files[0].Data
}
