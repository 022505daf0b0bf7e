// Package yarntest fakes YARN.
package yarntest
