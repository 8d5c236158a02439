package report_test

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/policy/report"
)

func ExampleText() {
	rules, err := policy.Load("policy.yaml", []byte(`
policy: v1
name: release
version: 1
require:
  - id: build
    provenance: {from: github.com/acme/app@v*}
`), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	// Nothing was found, so nothing passes.
	d := rules.Evaluate(policy.Input{
		Artifact: policy.Artifact{Name: "app.tar.gz", Digests: attest.DigestSet{"sha256": strings.Repeat("a", 64)}},
		Sources:  []policy.SourceReport{{Name: "dist/app.tar.gz.sigstore.json"}},
		Now:      time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
	})
	if err := report.Text(os.Stdout, d); err != nil {
		fmt.Println(err)
	}
	// Output:
	// DENIED  app.tar.gz
	//   sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
	//   - build (provenance): NO_EVIDENCE no evidence was found; looked in dist/app.tar.gz.sigstore.json
	//   policy release version 1, sha256:d67b3081601f00c811cfe28e73dbf7732a7d02e8330697125a2e915637a06169, decided at 2026-03-04T05:06:07Z, valid until 2026-03-05T05:06:07Z
}
