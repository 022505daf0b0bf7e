#!/bin/sh
# Ends the cluster of a state directory when the process that owns it has died, however it died.
# usage: watch.sh <owner pid> <state directory> <mark in the hosts file> <hosts file>
owner=$1 state=$2 mark=$3 hosts=$4

while [ -d "/proc/$owner" ]; do sleep 0.5; done

# A NodeManager may start a container between two looks, so look until none is left, NodeManagers being gone by then.
round=0
while [ $round -lt 20 ]; do
	found=
	for p in /proc/[0-9]*; do
		pid=${p#/proc/}
		[ "$pid" = $$ ] && continue
		if tr '\0' '\n' <"$p/cmdline" 2>/dev/null | grep -qxF -e "-Dflott.hadoop.state=$state" ||
			tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -qF -e "LOCAL_DIRS=$state/" -e "LOG_DIRS=$state/"; then
			kill -9 "$pid" 2>/dev/null && found=yes
		fi
	done
	[ -z "$found" ] && break
	round=$((round + 1))
done

if [ -w "$hosts" ] && grep -qF "$mark" "$hosts"; then
	flock "$hosts" sh -c 'text=$(grep -vF "$1" "$2"); printf "%s\n" "$text" >"$2"' sh "$mark" "$hosts"
fi
rm -rf "$state/data" "$state/conf" "$state"/conf-* "$state/cluster.json" "$state/watch.sh"
