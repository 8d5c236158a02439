package cli_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// hashing is the name under which the test program hashes a file with
// crypto/sha256 and nothing else.
const hashing = "hash-only"

func hashOnly() {
	f, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		panic(err)
	}
	fmt.Println(hex.EncodeToString(h.Sum(nil)))
}

// spent is what a process took.
type spent struct {
	cpu  time.Duration
	peak int64 // KiB resident
}

// measure runs a command and wants exit status 0.
func measure(b *testing.B, env []string, name string, args ...string) spent {
	b.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &out, &out
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v\n%s", name, err, out.String())
	}
	u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return spent{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), u.Maxrss}
}

// BenchmarkLargeArtifact verifies a file of 1 GiB against two bundles, beside
// hashing it once, and beside a file of 1 MiB: CPU as a ratio, memory as a
// difference, in rounds of all three.
func BenchmarkLargeArtifact(b *testing.B) {
	dir := b.TempDir()
	hallmark, hasher := filepath.Join(dir, "hallmark"), filepath.Join(dir, hashing)
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for _, link := range []string{hallmark, hasher} {
		if err := os.Symlink(self, link); err != nil {
			b.Fatal(err)
		}
	}
	env := []string{"COSIGN_PASSWORD=secret"}
	run := func(args ...string) spent { return measure(b, env, hallmark, args...) }
	key, predicate := filepath.Join(dir, "k"), filepath.Join(dir, "p.json")
	run("keygen", "--out", key)
	if err := os.WriteFile(predicate, []byte(`{"a":1}`), 0o600); err != nil {
		b.Fatal(err)
	}
	verify := make(map[int64][]string)
	for _, size := range []int64{1 << 20, 1 << 30} {
		name := filepath.Join(dir, fmt.Sprint(size))
		f, err := os.Create(name)
		if err != nil {
			b.Fatal(err)
		}
		part := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB
		for n := int64(0); n < size; n += int64(len(part)) {
			if _, err := f.Write(part); err != nil {
				b.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		args := []string{"verify", "--key", key + ".pub"}
		for i := range 2 {
			bundle := fmt.Sprintf("%s.%d.json", name, i)
			run("attest", "--type", "https://example.com/t", "--predicate", predicate, "--key", key+".key", "--out", bundle, name)
			args = append(args, "--bundle", bundle)
		}
		verify[size] = append(args, name)
	}
	large := filepath.Join(dir, fmt.Sprint(1<<30))
	var hash, big, small spent
	b.ResetTimer()
	for range b.N {
		for _, m := range []struct {
			sum *spent
			s   spent
		}{{&hash, measure(b, env, hasher, large)}, {&big, run(verify[1<<30]...)}, {&small, run(verify[1<<20]...)}} {
			m.sum.cpu += m.s.cpu
			m.sum.peak += m.s.peak
		}
	}
	n := float64(b.N)
	b.ReportMetric(float64(big.cpu)/float64(hash.cpu), "cpu/hashing")
	b.ReportMetric(float64(big.peak-small.peak)/1024/n, "MiB-beyond-small")
	b.ReportMetric(hash.cpu.Seconds()/n, "s-hashing")
	b.ReportMetric(big.cpu.Seconds()/n, "s-verifying")
}
