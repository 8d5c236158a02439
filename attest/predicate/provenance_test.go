package predicate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	intoto "github.com/in-toto/in-toto-golang/in_toto"
	"github.com/in-toto/in-toto-golang/in_toto/slsa_provenance/common"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/predicate"
)

func good() *predicate.Provenance {
	return &predicate.Provenance{
		BuildDefinition: predicate.BuildDefinition{
			BuildType:            "https://example.com/build/v1",
			ExternalParameters:   json.RawMessage(`{"source":"git+https://example.com/a","n":1.0}`),
			InternalParameters:   json.RawMessage(`{"os":"<linux>"}`),
			ResolvedDependencies: []attest.ResourceDescriptor{{URI: "git+https://example.com/a", Digest: attest.DigestSet{"gitCommit": strings.Repeat("a", 40)}}},
		},
		RunDetails: predicate.RunDetails{
			Builder:    predicate.Builder{ID: "https://example.com/builder", Version: map[string]string{"b": "2", "a": "1"}},
			Metadata:   &predicate.Metadata{InvocationID: "run 1", StartedOn: "2026-01-02T03:04:05Z", FinishedOn: "2026-01-02T03:04:06.5Z"},
			Byproducts: []attest.ResourceDescriptor{{Name: "log", Content: "bG9n"}},
		},
	}
}

const goodJSON = `{"buildDefinition":{"buildType":"https://example.com/build/v1","externalParameters":{"source":"git+https://example.com/a","n":1.0},` +
	`"internalParameters":{"os":"<linux>"},"resolvedDependencies":[{"uri":"git+https://example.com/a","digest":{"gitCommit":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}]},` +
	`"runDetails":{"builder":{"id":"https://example.com/builder","version":{"a":"1","b":"2"}},` +
	`"metadata":{"invocationId":"run 1","startedOn":"2026-01-02T03:04:05Z","finishedOn":"2026-01-02T03:04:06.5Z"},"byproducts":[{"name":"log","content":"bG9n"}]}}`

func TestProvenanceEncode(t *testing.T) {
	for range 5 {
		raw, err := good().EncodePredicate()
		if err != nil {
			t.Fatal(err)
		}
		if string(raw) != goodJSON {
			t.Fatalf("got  %s\nwant %s", raw, goodJSON)
		}
	}
	minimal := &predicate.Provenance{
		BuildDefinition: predicate.BuildDefinition{BuildType: "a:b", ExternalParameters: json.RawMessage(`{"x":null}`)},
		RunDetails:      predicate.RunDetails{Builder: predicate.Builder{ID: "c:d"}},
	}
	raw, err := minimal.EncodePredicate()
	if want := `{"buildDefinition":{"buildType":"a:b","externalParameters":{"x":null}},"runDetails":{"builder":{"id":"c:d"}}}`; err != nil || string(raw) != want {
		t.Errorf("%v, got %s, want %s", err, raw, want)
	}
}

// The reference library of in-toto reads what is written here.
func TestProvenanceByInTotoGolang(t *testing.T) {
	st, err := attest.New([]attest.Subject{{Name: "app", Digest: attest.DigestSet{"sha256": strings.Repeat("0", 64)}}}, good())
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 that library offers no other reader of provenance v1
	var theirs intoto.ProvenanceStatementSLSA1
	if err := json.Unmarshal(st.Bytes(), &theirs); err != nil {
		t.Fatal(err)
	}
	p := theirs.Predicate
	if theirs.PredicateType != predicate.ProvenanceV1 || theirs.Subject[0].Name != "app" || theirs.Subject[0].Digest["sha256"] != strings.Repeat("0", 64) ||
		p.BuildDefinition.BuildType != "https://example.com/build/v1" || p.RunDetails.Builder.ID != "https://example.com/builder" ||
		p.BuildDefinition.ResolvedDependencies[0].Digest["gitCommit"] != strings.Repeat("a", 40) ||
		p.RunDetails.BuildMetadata.InvocationID != "run 1" || p.RunDetails.BuildMetadata.StartedOn.Year() != 2026 || string(p.RunDetails.Byproducts[0].Content) != "log" {
		t.Errorf("in-toto-golang read %+v", theirs)
	}
	// And the other way round: v0.2 as that library writes it.
	v02 := intoto.ProvenanceStatementSLSA02{}
	v02.Predicate.Builder.ID, v02.Predicate.BuildType = "https://example.com/b", "https://example.com/t"
	v02.Predicate.Invocation.ConfigSource.URI = "git+https://example.com/a"
	v02.Predicate.Invocation.ConfigSource.Digest = common.DigestSet{"sha1": strings.Repeat("b", 40)}
	v02.Predicate.Invocation.ConfigSource.EntryPoint = "build"
	v02.Predicate.Materials = []common.ProvenanceMaterial{{URI: "u", Digest: common.DigestSet{"sha256": "x"}}}
	raw, err := json.Marshal(v02.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := predicate.ParseProvenanceV02(raw)
	if err != nil || ours.Builder.ID != "https://example.com/b" || ours.Invocation.ConfigSource.EntryPoint != "build" || ours.Materials[0].Digest["sha256"] != "x" ||
		ours.Invocation.ConfigSource.Digest["sha1"] != strings.Repeat("b", 40) {
		t.Errorf("%v, %+v", err, ours)
	}
}

func wantPath(t *testing.T, err error, path string) {
	t.Helper()
	var e *predicate.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Path, path) || e.Reason == "" {
		t.Errorf("got %v, want an error at %s", err, path)
	}
}

func TestProvenanceEncodeRefuses(t *testing.T) {
	for _, test := range []struct {
		name, path string
		change     func(*predicate.Provenance)
	}{
		{"no build type", "predicate.buildDefinition.buildType", func(p *predicate.Provenance) { p.BuildDefinition.BuildType = "" }},
		{"relative build type", "predicate.buildDefinition.buildType", func(p *predicate.Provenance) { p.BuildDefinition.BuildType = "make" }},
		{"no builder", "predicate.runDetails.builder.id", func(p *predicate.Provenance) { p.RunDetails.Builder.ID = "" }},
		{"relative builder", "predicate.runDetails.builder.id", func(p *predicate.Provenance) { p.RunDetails.Builder.ID = "me" }},
		{"no parameters", "predicate.buildDefinition.externalParameters", func(p *predicate.Provenance) { p.BuildDefinition.ExternalParameters = nil }},
		{"empty parameters", "predicate.buildDefinition.externalParameters", func(p *predicate.Provenance) { p.BuildDefinition.ExternalParameters = json.RawMessage("{ }") }},
		{"null parameters", "predicate.buildDefinition.externalParameters", func(p *predicate.Provenance) { p.BuildDefinition.ExternalParameters = json.RawMessage("null") }},
		{"parameters of another shape", "predicate.buildDefinition.externalParameters", func(p *predicate.Provenance) { p.BuildDefinition.ExternalParameters = json.RawMessage("[1]") }},
		{"duplicate parameters", "predicate.buildDefinition.externalParameters", func(p *predicate.Provenance) {
			p.BuildDefinition.ExternalParameters = json.RawMessage(`{"a":1,"a":2}`)
		}},
		{"internal parameters of another shape", "predicate.buildDefinition.internalParameters", func(p *predicate.Provenance) { p.BuildDefinition.InternalParameters = json.RawMessage(`"x"`) }},
		{"dependency that names nothing", "predicate.buildDefinition.resolvedDependencies[0]", func(p *predicate.Provenance) {
			p.BuildDefinition.ResolvedDependencies = []attest.ResourceDescriptor{{Name: "x"}}
		}},
		{"upper-case digest", "predicate.buildDefinition.resolvedDependencies[0].digest", func(p *predicate.Provenance) { p.BuildDefinition.ResolvedDependencies[0].Digest["gitCommit"] = "ABC" }},
		{"empty digest", "predicate.runDetails.builder.builderDependencies[0].digest", func(p *predicate.Provenance) {
			p.RunDetails.Builder.BuilderDependencies = []attest.ResourceDescriptor{{Digest: attest.DigestSet{"sha256": ""}}}
		}},
		{"local time", "predicate.runDetails.metadata.startedOn", func(p *predicate.Provenance) { p.RunDetails.Metadata.StartedOn = "2026-01-02T03:04:05+01:00" }},
		{"no time", "predicate.runDetails.metadata.finishedOn", func(p *predicate.Provenance) { p.RunDetails.Metadata.FinishedOn = "yesterday" }},
		{"finished before started", "predicate.runDetails.metadata.finishedOn", func(p *predicate.Provenance) { p.RunDetails.Metadata.FinishedOn = "2026-01-02T03:04:04Z" }},
		{"too many dependencies", "predicate.buildDefinition.resolvedDependencies", func(p *predicate.Provenance) {
			p.BuildDefinition.ResolvedDependencies = many(predicate.MaxDependencies + 1)
		}},
		{"too many byproducts", "predicate.runDetails.byproducts", func(p *predicate.Provenance) { p.RunDetails.Byproducts = many(predicate.MaxDependencies + 1) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := good()
			test.change(p)
			raw, err := p.EncodePredicate()
			if raw != nil {
				t.Error("bytes came with an error")
			}
			wantPath(t, err, test.path)
		})
	}
	p := good()
	p.BuildDefinition.ResolvedDependencies = many(predicate.MaxDependencies)
	if _, err := p.EncodePredicate(); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := (*predicate.Provenance)(nil).EncodePredicate(); err == nil {
		t.Error("nil was written")
	}
	if _, err := new(predicate.Provenance).EncodePredicate(); err == nil {
		t.Error("the zero Provenance was written")
	}
}

func many(n int) []attest.ResourceDescriptor {
	out := make([]attest.ResourceDescriptor, n)
	for i := range out {
		out[i].URI = "u:x"
	}
	return out
}

func TestParseProvenance(t *testing.T) {
	p, err := predicate.ParseProvenance(predicate.ProvenanceV1, []byte(goodJSON))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := p.EncodePredicate(); err != nil || string(raw) != goodJSON {
		t.Errorf("%v, %s", err, raw)
	}
	for name, data := range map[string]string{
		"unknown fields": strings.Replace(goodJSON, `{"buildDefinition"`, `{"later":1,"buildDefinition"`, 1),
		"no parameters":  `{"buildDefinition":{"buildType":"a:b"},"runDetails":{"builder":{"id":"c:d"}}}`,
		"nulls":          `{"buildDefinition":{"buildType":"a:b","externalParameters":null,"internalParameters":null,"resolvedDependencies":null},"runDetails":{"builder":{"id":"c:d"},"metadata":null}}`,
		"local time":     strings.Replace(goodJSON, "03:04:05Z", "03:04:05+01:00", 1),
	} {
		if _, err := predicate.ParseProvenance(predicate.ProvenanceV1, []byte(data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, test := range []struct{ name, typ, data, path string }{
		{"v0.2 by type", predicate.ProvenanceV02, goodJSON, "predicateType"},
		{"another type", "https://example.com/p", goodJSON, "predicateType"},
		{"empty", predicate.ProvenanceV1, "", "predicate"},
		{"array", predicate.ProvenanceV1, "[]", "predicate"},
		{"v0.2 by shape", predicate.ProvenanceV1, `{"builder":{"id":"https://example.com/b"},"buildType":"https://example.com/t"}`, "predicate.buildDefinition.buildType"},
		{"builder of another shape", predicate.ProvenanceV1, `{"runDetails":{"builder":"x"}}`, "predicate.runDetails.builder"},
		{"names in another case", predicate.ProvenanceV1, strings.Replace(goodJSON, "buildType", "buildtype", 1), "predicate.buildDefinition.buildType"},
		{"no builder", predicate.ProvenanceV1, strings.Replace(goodJSON, `"id":"https://example.com/builder"`, `"id":""`, 1), "predicate.runDetails.builder.id"},
		{"duplicate builder", predicate.ProvenanceV1, strings.Replace(goodJSON, `"builder":`, `"builder":{"id":"x:y"},"builder":`, 1), "predicate"},
		{"parameters of another shape", predicate.ProvenanceV1, `{"buildDefinition":{"buildType":"a:b","externalParameters":"x"},"runDetails":{"builder":{"id":"c:d"}}}`, "predicate.buildDefinition.externalParameters"},
		{"internal parameters of another shape", predicate.ProvenanceV1, `{"buildDefinition":{"buildType":"a:b","internalParameters":[]},"runDetails":{"builder":{"id":"c:d"}}}`, "predicate.buildDefinition.internalParameters"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := predicate.ParseProvenance(test.typ, []byte(test.data))
			if p != nil {
				t.Error("provenance came with an error")
			}
			wantPath(t, err, test.path)
		})
	}
}

func TestParseProvenanceV02(t *testing.T) {
	data := `{"builder":{"id":"https://example.com/b"},"buildType":"https://example.com/t","invocation":{"configSource":{"uri":"u","digest":{"sha1":"x"},"entryPoint":"e"},"parameters":{"a":1}},"materials":[{"uri":"u","digest":{"sha1":"x"}}]}`
	p, err := predicate.ParseProvenanceV02([]byte(data))
	if err != nil || p.Invocation.ConfigSource.EntryPoint != "e" || string(p.Invocation.Parameters) != `{"a":1}` || len(p.Materials) != 1 {
		t.Errorf("%v, %+v", err, p)
	}
	manyMaterials := func(n int) string {
		return `{"builder":{"id":"a:b"},"buildType":"c:d","materials":[` + strings.TrimSuffix(strings.Repeat(`{"uri":"u"},`, n), ",") + `]}`
	}
	if _, err := predicate.ParseProvenanceV02([]byte(manyMaterials(predicate.MaxDependencies))); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	for _, test := range []struct{ name, data, path string }{
		{"empty", "", "predicate"},
		{"v1 by shape", goodJSON, "predicate.builder.id"},
		{"no build type", `{"builder":{"id":"a:b"}}`, "predicate.buildType"},
		{"builder of another shape", `{"builder":{"id":1},"buildType":"c:d"}`, "predicate.builder.id"},
		{"materials of another shape", `{"builder":{"id":"a:b"},"buildType":"c:d","materials":{}}`, "predicate.materials"},
		{"too many materials", manyMaterials(predicate.MaxDependencies + 1), "predicate.materials"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := predicate.ParseProvenanceV02([]byte(test.data))
			wantPath(t, err, test.path)
		})
	}
}

func FuzzParseProvenance(f *testing.F) {
	f.Add([]byte(goodJSON))
	f.Add([]byte(`{"buildDefinition":{"buildType":"a:b"},"runDetails":{"builder":{"id":"c:d"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := predicate.ParseProvenance(predicate.ProvenanceV1, data)
		if err != nil {
			return
		}
		raw, err := p.EncodePredicate()
		if err != nil {
			return // looser in reading
		}
		again, err := predicate.ParseProvenance(predicate.ProvenanceV1, raw)
		if err != nil || fmt.Sprintf("%+v", again.RunDetails.Builder) != fmt.Sprintf("%+v", p.RunDetails.Builder) {
			t.Errorf("%v: %s", err, raw)
		}
	})
}

func FuzzParseProvenanceV02(f *testing.F) {
	f.Add([]byte(`{"builder":{"id":"a:b"},"buildType":"c:d","invocation":{"configSource":{"uri":"u"},"parameters":null},"materials":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := predicate.ParseProvenanceV02(data); err == nil && (p.Builder.ID == "" || p.BuildType == "") {
			t.Errorf("read %+v", p)
		}
	})
}

func ExampleProvenance() {
	p := &predicate.Provenance{
		BuildDefinition: predicate.BuildDefinition{BuildType: "https://example.com/build/v1", ExternalParameters: json.RawMessage(`{"target":"release"}`)},
	}
	_, err := p.EncodePredicate()
	fmt.Println(err)
	p.RunDetails.Builder.ID = "https://example.com/builder"
	_, err = p.EncodePredicate()
	fmt.Println(err)
	// Output:
	// predicate.runDetails.builder.id: required
	// <nil>
}
