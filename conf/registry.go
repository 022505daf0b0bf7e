package conf

import (
	"slices"
	"strings"
)

// group is a section of the reference page.
type group struct {
	title   string
	about   string
	options []described
}

// groups lists every option; a test compares it with the declarations.
var groups = []group{
	{"Execution and client", "What is run, where, and how wide.", executionOptions},
	{"YARN", "The application and its containers.", yarnOptions},
	{"REST and web page", "The address that the CLI and browsers use.", restOptions},
	{"Cluster", "How the processes find and watch each other.", clusterOptions},
	{"Resources and slots", "How many workers are started and how slots are given out.", resourceOptions},
	{"Worker and tasks", "The TaskExecutor process and the tasks in it.", taskOptions},
	{"Memory", "Sizes of the two kinds of process. Memory model: the sum of the parts is what YARN is asked for.", memoryOptions},
	{"High availability", "ZooKeeper.", highAvailabilityOptions},
	{"Security", "Kerberos and TLS.", securityOptions},
}

// prefixes lists every family of keys.
var prefixes = []PrefixOption{FlinkHadoop, FlinkYarn, ContainerizedMasterEnv, ContainerizedTaskManagerEnv}

var (
	allOptions     = collectOptions()
	optionsByKey   = indexOptions()
	deprecatedKeys = indexDeprecated()
)

func collectOptions() []described {
	var out []described
	for _, g := range groups {
		out = append(out, g.options...)
	}
	return out
}

func indexOptions() map[string]described {
	out := map[string]described{}
	for _, o := range allOptions {
		out[o.describe().Key] = o
	}
	return out
}

func indexDeprecated() map[string]string {
	out := map[string]string{}
	for _, o := range allOptions {
		d := o.describe()
		for _, old := range d.Deprecated {
			out[old] = d.Key
		}
	}
	return out
}

// Options describes every option, in the order of the reference page.
func Options() []Description {
	out := make([]Description, len(allOptions))
	for i, o := range allOptions {
		out[i] = o.describe()
	}
	return out
}

type keyKind int

const (
	keyUnknown    keyKind = iota
	keyKnown              // an option, a piece of a map option, or below a known prefix
	keyDeprecated         // an older name of an option
	keyIgnored            // Flink's, without a meaning here
)

// knownKey is what the registry knows about a written key.
type knownKey struct {
	kind keyKind
	key  string // present name
	row  int    // of ignoredKeys
}

func lookupKey(key string) knownKey {
	if _, ok := optionsByKey[key]; ok {
		return knownKey{kind: keyKnown, key: key}
	}
	if present, ok := deprecatedKeys[key]; ok {
		return knownKey{kind: keyDeprecated, key: present}
	}
	for _, p := range prefixes {
		if _, ok := cutPrefixName(key, p.Prefix); ok {
			return knownKey{kind: keyKnown, key: key}
		}
	}
	for i := len(key) - 1; i > 0; i-- { // a piece of a map option
		if key[i] == '.' {
			if o, ok := optionsByKey[key[:i]]; ok && o.isMap() {
				return knownKey{kind: keyKnown, key: key}
			}
		}
	}
	for i, row := range ignoredKeys {
		if row.matches(key) {
			if row.pattern != key && isTypo(key) { // within a family, a slip of the finger is more likely than a key of Flink's
				break
			}
			return knownKey{kind: keyIgnored, key: key, row: i}
		}
	}
	return knownKey{kind: keyUnknown, key: key}
}

// cutPrefixName returns what follows prefix in key, when that is not empty.
func cutPrefixName(key, prefix string) (string, bool) {
	name, ok := strings.CutPrefix(key, prefix)
	return name, ok && name != ""
}

// didYouMean names the known key nearest to an unknown one, as the end of a message; "" when none is near.
func didYouMean(key string) string {
	if near := nearestKey(key); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// nearestKey finds the option with the smallest edit distance, at most a quarter of the key's length (at least 2); failing that,
// the shortest option whose last words are the key ("queue" → yarn.application.queue).
func nearestKey(key string) string {
	var all []string
	byWord := ""
	for _, o := range allOptions {
		known := o.describe().Key
		all = append(all, known)
		ends := strings.HasSuffix(known, "."+key) || strings.HasPrefix(known, key+".")
		if key != "" && ends && (byWord == "" || len(known) < len(byWord)) {
			byWord = known
		}
	}
	if best := Nearest(key, max(2, len(key)/4), all); best != "" {
		return best
	}
	return byWord
}

// Nearest returns what a mistyped word most likely means: the first candidate with the smallest edit distance, whatever the case of
// letters; "" when none is within limit insertions, deletions, replacements and swaps of neighbours.
func Nearest(word string, limit int, candidates []string) string {
	best, bestDistance := "", limit+1
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(word), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// isTypo tells whether key is one or two signs away from an option.
func isTypo(key string) bool {
	for _, o := range allOptions {
		if editDistance(key, o.describe().Key) <= 2 {
			return true
		}
	}
	return false
}

// editDistance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func editDistance(a, b string) int {
	if len(a) > 256 { // no option is that long
		return len(a)
	}
	older, old := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := slices.Clone(old)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(old[j]+1, row[j-1]+1, old[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, old = old, row
	}
	return old[len(b)]
}

// Masked stands for a secret wherever a setting is shown.
const Masked = "******"

// secretParts are the parts of a key that mark its value as secret: Flink's list.
var secretParts = []string{
	"password", "secret", "fs.azure.account.key", "apikey", "api-key", "auth-params", "service-key", "token",
	"basic-auth", "jaas.config", "http-headers",
}

func isSecret(key string) bool {
	if o, ok := optionsByKey[key]; ok && o.describe().Secret {
		return true
	}
	lower := strings.ToLower(key)
	for _, part := range secretParts {
		if strings.Contains(lower, part) {
			return true
		}
	}
	return false
}

func maskValue(key, value string) string {
	if isSecret(key) {
		return Masked
	}
	return value
}
