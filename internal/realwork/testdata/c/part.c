// SPDX-License-Identifier: Apache-2.0

int part(int n)
{
	return n * n;
}
