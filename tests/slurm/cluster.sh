#!/usr/bin/env bash
# A Slurm of one machine, on loopback, for the tests: cluster.sh start|stop
#
# As root, without systemd and cgroups. Its four GPUs are counted and stand for nothing: their
# device files are those of the kernel. All that it writes lies in FOLDER, but for /etc/slurm,
# where srun looks for its configuration.
set -euo pipefail

FOLDER=${RESNEST_BENCH_SLURM:-/tmp/resnest-bench-slurm}
NODE=$(hostname -s)
MARK="# Written by resnest-bench's tests/slurm/cluster.sh"

configure() {
    if [ -e /etc/slurm/slurm.conf ] && ! grep -q "^$MARK" /etc/slurm/slurm.conf; then
        echo "/etc/slurm/slurm.conf is of another cluster: it stays as it is" >&2
        exit 1
    fi
    rm -rf "$FOLDER" # jobs of an earlier start
    mkdir -p "$FOLDER/state" "$FOLDER/spool" /etc/slurm /run/munge
    chown munge: /run/munge
    cat > /etc/slurm/slurm.conf << END
$MARK
ClusterName=tests
SlurmctldHost=$NODE(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
# squeue forgets a job after so many seconds; the plugin hears of its end from squeue.
MinJobAge=3600
# A job over its limit gets SIGTERM, and SIGKILL so many seconds later: Slurm's own default.
KillWait=30
GresTypes=gpu
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.pid
SlurmctldLogFile=$FOLDER/slurmctld.log
SlurmdLogFile=$FOLDER/slurmd.log
# As large as the profile's requests, whatever this machine has.
SlurmdParameters=config_overrides
NodeName=$NODE NodeAddr=127.0.0.1 CPUs=32 RealMemory=200000 Gres=gpu:4
PartitionName=gpu Nodes=$NODE Default=YES MaxTime=INFINITE State=UP
END
    printf 'Name=gpu File=/dev/%s\n' null zero full random > /etc/slurm/gres.conf
}

start() {
    configure
    if ! munge --no-input > "$FOLDER/munge.txt" 2>&1; then
        munged --force 2> "$FOLDER/munged.log"
        cp /run/munge/munged.pid "$FOLDER/munged.pid"
    fi
    slurmctld
    slurmd
    for _ in $(seq 200); do
        [ "$(sinfo --noheader --format %T 2> "$FOLDER/sinfo.log")" != idle ] || return 0
        sleep 0.1
    done
    tail -n 5 "$FOLDER"/*.log >&2
    echo "Slurm did not start: its logs are in $FOLDER" >&2
    return 1
}

# Ends only what this script started, by the ids that it kept.
stop() {
    for daemon in slurmd slurmctld munged; do
        if [ -s "$FOLDER/$daemon.pid" ]; then
            kill "$(cat "$FOLDER/$daemon.pid")" || true
        fi
    done
    for _ in $(seq 100); do
        [ -e "$FOLDER/slurmctld.pid" ] || break
        sleep 0.1
    done
    rm -f /etc/slurm/slurm.conf /etc/slurm/gres.conf
}

case ${1:-} in
    start | stop) "$1" ;;
    *) echo "usage: $0 start|stop" >&2 && exit 2 ;;
esac
