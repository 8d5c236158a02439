package sigstoretest_test

import (
	"fmt"
	"log"

	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
)

func Example() {
	s, err := sigstoretest.Start(sigstoretest.Options{RekorV1: -1}) // in a test: sigstoretest.New(t, …)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	// Sign against these, with any Sigstore client …
	token, err := s.Token(sigstoretest.GitHub{Repo: "acme/app", Ref: "refs/tags/v1.0.0"}.Claims())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token != "", s.FulcioURL() != "", len(s.RekorV1URLs()), len(s.RekorV2URLs()), len(s.TSAURLs()))
	// … configured by SigningConfig, and verify under TrustedRoot.
	fmt.Println(len(s.SigningConfig()) > 0, len(s.TrustedRoot()) > 0)
	// Output:
	// true true 0 1 1
	// true true
}
