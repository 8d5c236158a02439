package predicate

import (
	"encoding/json"
	"fmt"

	"github.com/hallmark-dev/hallmark/attest"
)

// BuildV02 is SLSA provenance v0.2, which is read and not written
// (https://slsa.dev/spec/v0.2/provenance).
type BuildV02 struct {
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
	BuildType  string `json:"buildType"`
	Invocation struct {
		ConfigSource ConfigSource    `json:"configSource"`
		Parameters   json.RawMessage `json:"parameters"`
		Environment  json.RawMessage `json:"environment"`
	} `json:"invocation"`
	BuildConfig json.RawMessage `json:"buildConfig"`
	Metadata    struct {
		BuildInvocationID string `json:"buildInvocationId"`
		BuildStartedOn    string `json:"buildStartedOn"`
		BuildFinishedOn   string `json:"buildFinishedOn"`
	} `json:"metadata"`
	Materials []Material `json:"materials"`
}

// A ConfigSource is where the build's configuration came from.
type ConfigSource struct {
	URI        string           `json:"uri"`
	Digest     attest.DigestSet `json:"digest"`
	EntryPoint string           `json:"entryPoint"`
}

// A Material is something that the build used.
type Material struct {
	URI    string           `json:"uri"`
	Digest attest.DigestSet `json:"digest"`
}

// ParseProvenanceV02 reads provenance v0.2 from a predicate's JSON. A field of
// the wrong type, a missing builder.id or buildType and more than
// [MaxDependencies] materials are errors, each an [*Error].
func ParseProvenanceV02(raw []byte) (*BuildV02, error) {
	p := new(BuildV02)
	if err := decode(ProvenanceV02, raw, p); err != nil {
		return nil, err
	}
	c := &checker{typ: ProvenanceV02}
	absolute(c, "builder.id", p.Builder.ID)
	absolute(c, "buildType", p.BuildType)
	limit(c, "materials", len(p.Materials))
	if c.err != nil {
		return nil, c.err
	}
	return p, nil
}

func at(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
