package ipc

import (
	"math/rand/v2"
	"time"
)

// RetryPolicy says how often a call is repeated on one address. The zero value tries once.
type RetryPolicy struct {
	// Tries is the number of times a call is sent at most.
	Tries int
	// Base is the pause after the first failure, which doubles up to Max; each is spread by ±50 %. Defaults 500 ms and 2 s.
	Base, Max time.Duration
	// Resend also repeats a call whose outcome is Unknown. Right for idempotent methods, and for the NameNode's at-most-once methods, because the
	// repetition carries the same client id and call id.
	Resend bool
}

func (p RetryPolicy) again(try int, err error) bool {
	return try+1 < p.Tries && Unreachable(err) && (p.Resend || !Unknown(err))
}

func (p RetryPolicy) delay(try int) time.Duration { return backoff(p.Base, p.Max, try) }

// backoff is base·2^n, at most limit, times 0.5 to 1.5.
func backoff(base, limit time.Duration, n int) time.Duration {
	if base == 0 {
		base = 500 * time.Millisecond
	}
	if limit == 0 {
		limit = 2 * time.Second
	}
	d := limit
	if n < 32 && base<<n < limit && base<<n > 0 {
		d = base << n
	}
	return time.Duration(float64(d) * (0.5 + rand.Float64()))
}
