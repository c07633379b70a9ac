#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tests.sh: fails if a guest test says something at its top that selftests/run does not understand, or
# needs what is not there. One with a wrong word in place of `kernels:` would be run by nobody. Also fails
# if tests, and their rooms, are not those that the documentation lists.

. "$(dirname "$0")/../lib.sh"
. "$WG_TOP/selftests/lib/tests.sh"

status=0

complain() {
	echo "$1: $2"
	status=1
}

# among NAME WORD...: is it one of these?
among() {
	local name=$1
	shift
	case " $* " in *" $name "*) ;; *) return 1 ;; esac
}

# words FILE FIELD VALUE: complains of each word that has no meaning there.
words() {
	local file=$1 field=$2 word values=()
	case $field in
	kernels) mapfile -t values < <(kernels) ;;
	drivers) values=(c rust) ;;
	excuse) values=(no) ;;
	pairs) values=("c,rust" "rust,c" "rust,rust" "c,c") ;;
	slow)
		values=(yes)
		for word in $(kernels) stock-7.2; do
			values+=("$word" "$word"/{c,rust})
		done
		;;
	timeout) [[ $3 =~ ^[1-9][0-9]*$ ]] || complain "$file" "$field: $3"; return ;;
	append | qemu) return ;;
	reports)
		# It is taken for an extended regular expression.
		[ "$(grep -cE "$3" </dev/null 2>&1)" = 0 ] || complain "$file" "$field: $3"
		return
		;;
	needs)
		[ -d "$WG_TOP/selftests/needs/$3" ] || [ -x "$WG_TOP/selftests/needs/$3.sh" ] ||
			complain "$file" "there is no selftests/needs/$3, nor $3.sh"
		return
		;;
	outside)
		compgen -G "$WG_TOP/selftests/guest/*/$3.py" >/dev/null ||
			complain "$file" "there is no selftests/guest/*/$3.py"
		return
		;;
	esac
	for word in $3; do
		among "$word" "${values[@]}" || complain "$file" "$field: $word"
	done
}

# judge FILE: what stands at the top of it, behind the last paragraph, one field a line.
judge() {
	local file=$1 field value fields=()
	while read -r field value; do
		field=${field%:}
		among "$field" kernels drivers pairs timeout append qemu slow excuse reports needs outside || {
			complain "$file" "no such field: $field"
			continue
		}
		! among "$field" "${fields[@]}" || complain "$file" "twice: $field"
		fields+=("$field")
		words "$file" "$field" "$value"
	done < <(sed -n '2,/^[^#]/{ /^#$/{ h; d; }; /^# /H }; /^[^#]/{ x; p; q; }' "$file" |
		sed -n 's/^# \([a-z]*:.*\)/\1/p')
	among kernels "${fields[@]}" || among pairs "${fields[@]}" || complain "$file" 'it does not say where it runs'
	# User-mode Linux, which pairs are as well, takes no notice of it.
	! among qemu "${fields[@]}" || ! grep -qE '^# (kernels:.* (uml|debug)( |$)|pairs:)' "$file" ||
		complain "$file" 'qemu: it runs without'
}

for name in $(test_names); do
	judge "${test_file[$name]}"
done
for needed in "$WG_TOP"/selftests/needs/*; do
	needed=$(basename "$needed" .sh)
	grep -qx "# needs: $needed" "${test_file[@]}" || complain "selftests/needs/$needed" 'no test needs it'
done
# listed: the text of testing.rst, from the table of the tests on, that says what each is about.
listed() {
	sed -n '/^test  *about$/,/^``selftests\/behaviour.txt``/p' "$WG_TOP/Documentation/testing.rst"
}

# compare NAME...: complains of what is a test and not listed, and of what has a line of the table and is none.
compare() {
	local text name
	text=$(cat)
	for name; do
		[[ $text == *'``'"$name"'``'* ]] || complain Documentation/testing.rst "does not list $name"
	done
	while read -r name; do
		among "$name" "$@" || complain Documentation/testing.rst "there is no test $name"
	done < <(sed -n 's/^``\([a-z0-9-]*\)``  .*/\1/p' <<<"$text")
}

# shellcheck disable=SC2046
compare $(test_names) < <(listed)
for room in "$WG_TOP"/selftests/guest/*/; do
	room=$(basename "$room")
	grep -qF "| \`$room\` |" "$WG_TOP/selftests/README.md" || complain selftests/README.md "does not list the room $room"
done
[ "$status" -eq 0 ] || exit 1

# Each of these must be noticed, for what it is, and nothing else.
control=$(mktemp)
trap 'rm -f "$control"' EXIT
# noticed FIELDS COMPLAINT...
noticed() {
	printf '#!/bin/bash\n#\n# A control.\n#\n# %s\n\n. lib.sh\n' "$1" >"$control"
	shift
	diff <(printf "$control: %s\n" "$@") <(judge "$control") || exit
}
nowhere='it does not say where it runs'
diff - <(compare down noon < <(listed | sed -n '1p; /^``down``/p; /^``drops``/p')) <<-END || exit
	Documentation/testing.rst: does not list noon
	Documentation/testing.rst: there is no test drops
END
noticed 'kernel: uml' 'no such field: kernel' "$nowhere"
noticed 'slow: yes' "$nowhere"
noticed 'kernels: ulm' 'kernels: ulm'
noticed 'pairs: c' 'pairs: c'
noticed $'kernels: uml\n# drivers: d' 'drivers: d'
noticed $'kernels: uml\n# needs: cards' 'there is no selftests/needs/cards, nor cards.sh'
noticed $'kernels: uml\n# outside: nothing' 'there is no selftests/guest/*/nothing.py'
noticed $'kernels: uml\n# timeout: soon' 'timeout: soon'
noticed $'kernels: uml\n# slow: stock/d' 'slow: stock/d'
noticed $'kernels: uml\n# excuse: yes' 'excuse: yes'
noticed $'kernels: uml\n# reports: (a' 'reports: (a'
noticed $'kernels: uml\n# kernels: stock' 'twice: kernels'
