package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/policy/report"
)

type verifyFlags struct {
	trust    trustFlags
	policy   string
	bundles  []string
	from     string
	identity string
	issuer   string
	key      string
}

func (a *app) verifyCommand() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use:   "verify ARTIFACT...",
		Short: "Decide whether artifacts may be used, by a policy",
		Long: `Decide whether artifacts may be used. An ARTIFACT is a file, a digest
(sha256:HEX, sha384:HEX, sha512:HEX), or - for standard input.

Say who may have made it in one of four ways: a policy file, the repository that
must have built it, the identity in the certificate, or a public key. Without
--bundle, evidence is looked for beside the file: FILE.sigstore.json,
FILE.intoto.jsonl and FILE.jsonl.

A --key without --trusted-root trusts the key alone: no log, no timestamp and no
network. With --trusted-root, its log is required.`,
		Example: `  hallmark verify --from github.com/acme/app@v* app.tar.gz`,
		Args:    cobra.MinimumNArgs(1),
	}
	f.trust.add(c)
	fl := c.Flags()
	fl.StringVarP(&f.policy, "policy", "p", "", "policy `file`")
	fl.StringArrayVarP(&f.bundles, "bundle", "b", nil, "Sigstore bundle `file`, or with the ending .jsonl one bundle on each line; may be repeated")
	fl.StringVar(&f.from, "from", "", "`github.com/OWNER/REPO@REF` that must have built the artifact")
	fl.StringVar(&f.identity, "certificate-identity", "", "exact `subject` of the signing certificate: a URI or an e-mail address")
	fl.StringVar(&f.issuer, "certificate-oidc-issuer", "", "exact `issuer` of that identity")
	fl.StringVar(&f.key, "key", "", "public key `file` (PEM)")
	asJSON := outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		jsonOut, err := asJSON()
		if err != nil {
			return err
		}
		return a.verify(c.Context(), &f, args, jsonOut)
	}
	return c
}

func (a *app) verify(ctx context.Context, f *verifyFlags, args []string, jsonOut bool) error {
	p, err := a.loadPolicy(f)
	if err != nil {
		return err
	}
	need := p.Verification()
	with, roots, err := a.verifiers(ctx, &f.trust, need)
	if err != nil {
		return err
	}
	result := error(nil)
	for _, arg := range args {
		d, err := a.decide(ctx, p, with, roots, f.bundles, arg)
		if err != nil {
			if len(args) == 1 {
				return err
			}
			// The other artifacts still get their decision.
			fmt.Fprintf(a.stderr, "hallmark: %s: %s\n", printable(arg), safe(err.Error()))
			if result == nil {
				result = errUndecided
			}
			continue
		}
		if jsonOut {
			err = report.JSON(a.stdout, d)
		} else {
			err = report.Text(a.stdout, d)
		}
		if err != nil {
			return err
		}
		// One denial among several answers is the answer.
		switch d.Outcome {
		case policy.Pass:
		case policy.Fail, policy.NotCovered:
			result = errDenied
		default:
			if result == nil {
				result = errUndecided
			}
		}
	}
	return result
}

func (a *app) decide(ctx context.Context, p *policy.Policy, with []trusted, roots []policy.Root, bundles []string, arg string) (policy.Decision, error) {
	c, err := a.collect(bundles, arg)
	if err != nil {
		return policy.Decision{}, err
	}
	artifact, err := a.artifact(ctx, arg, c.algorithms())
	if err != nil {
		return policy.Decision{}, err
	}
	accepted, rejected, err := verifyAll(ctx, c, with, artifact.Digests)
	if err != nil {
		return policy.Decision{}, err
	}
	return p.Evaluate(policy.Input{Artifact: artifact, Evidence: accepted, Rejected: rejected, Sources: c.sources,
		Roots: roots, Now: time.Now()}), nil
}

// loadPolicy loads the policy file, or the text that a short form stands for.
func (a *app) loadPolicy(f *verifyFlags) (*policy.Policy, error) {
	ways := 0
	for _, set := range []bool{f.policy != "", f.from != "", f.identity != "" || f.issuer != "", f.key != ""} {
		if set {
			ways++
		}
	}
	switch {
	case ways != 1:
		return nil, fmt.Errorf("say in exactly one way who may have made it: --policy, --from, --certificate-identity with --certificate-oidc-issuer, or --key")
	case f.policy != "":
		return a.policyFile(f.policy)
	case f.from != "":
		return policy.Load("--from", []byte(policy.From(f.from)), nil)
	case f.key != "":
		data, err := a.readFile("public key", f.key, key.MaxBytes)
		if err != nil {
			return nil, err
		}
		pub, err := key.ParsePublic(data)
		if err != nil {
			return nil, fmt.Errorf("public key %s: %w", f.key, err)
		}
		return policy.Load("--key", []byte(policy.Key(string(pub.PEM()), len(f.trust.files) > 0)), nil)
	case f.identity == "" || f.issuer == "":
		return nil, errors.New("--certificate-identity and --certificate-oidc-issuer belong together: an identity means nothing without who vouches for it")
	}
	return policy.Load("--certificate-identity", []byte(policy.Identity(f.identity, f.issuer)), nil)
}

func (a *app) policyFile(name string) (*policy.Policy, error) {
	data, err := a.readFile("policy", name, policy.MaxPolicyBytes)
	if err != nil {
		return nil, err
	}
	return policy.Load(name, data, beside(name))
}
