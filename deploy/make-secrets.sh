#!/bin/sh
# Makes the secrets that docker-compose.yml mounts: random ones, once. A file that is there is left as it is, because
# Postgres keeps the password it was first started with. Usage: sh deploy/make-secrets.sh [FOLDER]
set -eu

folder=${1:-$(dirname "$0")/secrets}
# The folder is closed to others on this machine; the files in it are open, because each container reads its own as
# another user.
mkdir -p "$folder"
chmod 700 "$folder"
umask 022

random() {
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

make() {
  path=$folder/$1
  if [ -e "$path" ]; then
    echo "kept     $path"
  else
    cat > "$path"
    echo "created  $path"
  fi
}

# Keeps what lies here out of the repository, wherever the folder is.
printf '*\n' > "$folder/.gitignore"
# The secret that sink and wallet share.
random | make wallet.secret
random | make postgres.password
random | make grafana.password
# Settings of the sink that hold a secret: a file, because flags and variables can be seen by others.
printf 'sink:\n  db: postgres://onceward:%s@postgres:5432/onceward\n' "$(cat "$folder/postgres.password")" | make sink.yaml
