// Command buildtool is a build tool that attests what it builds: it runs "go
// build" and writes, beside the program, a bundle with its provenance, signed with
// a key file. It talks to no service.
//
//	go run ./examples/buildtool -key release.key -o app ./examples/buildtool
//	hallmark verify --key release.pub app
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/attest/predicate"
	"github.com/hallmark-dev/hallmark/attest/sign"
	"github.com/hallmark-dev/hallmark/attest/subject"
)

// Names of this tool, which a policy compares.
const (
	buildType = "https://example.com/buildtool/go-build/v1"
	builderID = "https://example.com/buildtool"
)

func main() {
	keyFile := flag.String("key", "", "private key file; a passphrase is taken from COSIGN_PASSWORD")
	out := flag.String("o", "app", "program to write")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := build(ctx, *keyFile, *out, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "buildtool:", err)
		os.Exit(1)
	}
}

func build(ctx context.Context, keyFile, out, pkg string) error {
	// A key that cannot be read should be known before the build, not after.
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	private, err := key.Parse(pem, []byte(os.Getenv("COSIGN_PASSWORD")))
	if err != nil {
		return err
	}
	signer, err := sign.New(sign.Config{Key: private})
	if err != nil {
		return err
	}

	started := time.Now()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, pkg)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}

	parameters, err := json.Marshal(map[string]string{"package": pkg, "goos": runtime.GOOS, "goarch": runtime.GOARCH})
	if err != nil {
		return err
	}
	subjects, err := subject.Collect(subject.Hasher{}.Files(ctx, out))
	if err != nil {
		return err
	}
	statement, err := attest.New(subjects, &predicate.Provenance{
		BuildDefinition: predicate.BuildDefinition{BuildType: buildType, ExternalParameters: parameters},
		RunDetails: predicate.RunDetails{
			Builder: predicate.Builder{ID: builderID, Version: map[string]string{"go": runtime.Version()}},
			Metadata: &predicate.Metadata{
				StartedOn:  started.UTC().Format(time.RFC3339),
				FinishedOn: time.Now().UTC().Format(time.RFC3339),
			},
		},
	})
	if err != nil {
		return err
	}
	bundle, err := signer.Sign(ctx, statement)
	if err != nil {
		return err
	}
	return os.WriteFile(out+".sigstore.json", bundle.Bytes(), 0o644)
}
