package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallmark-dev/hallmark/attest/key"
)

// passphraseVariable is the one that cosign reads.
const passphraseVariable = "COSIGN_PASSWORD"

func (a *app) keygenCommand() *cobra.Command {
	var prefix, algorithm, passphraseFile string
	var clear, overwrite bool
	c := &cobra.Command{
		Use:   "keygen",
		Short: "Make a signing key",
		Long: `Make a signing key: PREFIX.key, encrypted as cosign and sigstore read it, and
PREFIX.pub. The passphrase is the first line of --passphrase-file or the value of
COSIGN_PASSWORD.`,
		Example: `  COSIGN_PASSWORD=... hallmark keygen --out release`,
		Args:    cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&prefix, "out", "hallmark", "`prefix` of the two file names")
	f.StringVar(&algorithm, "algorithm", string(key.ECDSAP256), "ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519 or rsa-3072")
	f.StringVar(&passphraseFile, "passphrase-file", "", "`file` whose first line is the passphrase; - for standard input")
	f.BoolVar(&clear, "no-passphrase", false, "write the key in the clear")
	f.BoolVar(&overwrite, "overwrite", false, "replace files that are there already")
	c.RunE = func(_ *cobra.Command, _ []string) error {
		passphrase, err := a.passphrase(passphraseFile)
		switch {
		case err != nil:
			return err
		case clear && passphraseFile != "":
			return errors.New("--no-passphrase and --passphrase-file: want one of the two")
		case !clear && len(passphrase) == 0:
			return fmt.Errorf("no passphrase: set %s, give --passphrase-file, or say --no-passphrase", passphraseVariable)
		}
		k, err := key.Generate(key.Algorithm(algorithm))
		if err != nil {
			return err
		}
		var secret []byte
		if clear {
			secret, err = k.MarshalPEM()
		} else {
			secret, err = k.MarshalEncrypted(passphrase)
		}
		if err != nil {
			return err
		}
		// Both can be written, or neither is. The public half first: an old private
		// key is not replaced before all else has worked.
		private, err := begin(prefix+".key", 0o600, overwrite, passphraseFile)
		if err != nil {
			return err
		}
		defer private.Abort()
		public, err := begin(prefix+".pub", 0o644, overwrite, passphraseFile)
		if err != nil {
			return err
		}
		defer public.Abort()
		if err := commit(public, prefix+".pub", k.PublicKey().PEM()); err != nil {
			return err
		}
		if err := commit(private, prefix+".key", secret); err != nil {
			if !overwrite {
				err = errors.Join(err, os.Remove(prefix+".pub"))
			}
			return err
		}
		fmt.Fprintf(a.stdout, "%s.key\n%s.pub %s\n", prefix, prefix, k.PublicKey().Fingerprint())
		return nil
	}
	return c
}

// passphrase reads it from a file or the environment; nil when there is none.
func (a *app) passphrase(file string) ([]byte, error) {
	if file != "" {
		data, err := a.readFile("passphrase", file, 4096)
		if err != nil {
			return nil, err
		}
		line, _, _ := strings.Cut(string(data), "\n")
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			return nil, fmt.Errorf("passphrase %s: the first line is empty", file)
		}
		return []byte(line), nil
	}
	return []byte(a.env(passphraseVariable)), nil
}
