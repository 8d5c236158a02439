package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

func ExampleLoad() {
	_, err := policy.Load("policy.yaml", []byte(`policy: v1
require:
  - id: build
    provenance:
      from: github.com/acme/app@v*
      sorce: {repo: github.com/acme/app}
`), nil)
	// A misspelled field is not ignored: a rule without it would ask for less.
	if refused := (*policy.LoadError)(nil); errors.As(err, &refused) {
		for _, p := range refused.Problems {
			fmt.Printf("line %d, column %d: %s\n", p.Line, p.Column, p.Message)
		}
	}
	fmt.Println(err)
	// Output:
	// line 6, column 7: unknown field "sorce", did you mean "source"?
	// policy: policy.yaml:6:7: require[0].provenance: unknown field "sorce", did you mean "source"?
}

func ExamplePolicy_Evaluate() {
	const pem = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`
	// The policy that anything signed by this key satisfies.
	rules, err := policy.Load("key", []byte(policy.Key(pem, false)), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	public, err := key.ParsePublic([]byte(pem))
	if err != nil {
		fmt.Println(err)
		return
	}
	artifact, err := attest.ParseDigest("sha256:" + strings.Repeat("a", 64))
	if err != nil {
		fmt.Println(err)
		return
	}
	in := policy.Input{
		Artifact: policy.Artifact{Name: "app.tar.gz", Digests: attest.Set(artifact)},
		Now:      time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
	}

	// Package verify makes evidence; an example does so in its place.
	in.Evidence = []evidence.Evidence{evidence.New(evidence.Facts{
		Message: artifact, Signer: evidence.Signer{Key: &evidence.Key{SPKI: public.Fingerprint()}}})}
	d := rules.Evaluate(in)
	fmt.Println(d.Outcome, d.Err())

	// The same, signed by nobody.
	in.Evidence = []evidence.Evidence{evidence.New(evidence.Facts{Message: artifact})}
	d = rules.Evaluate(in)
	fmt.Println(d.Outcome, d.Rules[0].Code)
	if denied := (*policy.Denied)(nil); errors.As(d.Err(), &denied) {
		fmt.Println("denied:", denied.Decision.Message)
	}
	// Output:
	// pass <nil>
	// fail NO_EVIDENCE
	// denied: signature: no evidence was found
}
