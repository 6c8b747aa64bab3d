// SPDX-License-Identifier: Apache-2.0

import java.util.stream.IntStream;

class Hello {
	public static void main(String[] args) {
		System.out.println("sum " + IntStream.range(0, 1000).parallel().sum());
	}
}
