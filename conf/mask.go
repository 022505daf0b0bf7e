package conf

import "strings"

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
